"""events (as they arrive), users, items, recommender model (MLflow) -> item_recommendations of the users who did something."""

import sys
import tempfile

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import launch, registry, sources, tables
from promoloop.launch import Outcome
from promoloop.recommenders import content, interactions, model, ranker, realtime, training
from promoloop.recommenders.model import Model
from promoloop.recommenders.training import Shop
from promoloop.settings import Settings

# takes that a standby rehearses, and users in them: the second is the first that merges, the third finds its code compiled
_REHEARSALS, _NOBODIES = 3, 200


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Follow the events: every `stream_every_seconds` until stopped, or (0) what is there now.

    One process does at a time. With `stream_standby` another waits, ready to the point of having rehearsed, and takes over.
    """
    own, as_of = settings.recommenders, settings.run.as_of
    checkpoint, written = tables.checkpoint(settings, "stream_recommendations"), []
    with sources.lease(checkpoint, own.stream_standby) as lease:
        shop = _shop(spark, settings)
        document, version = registry.load_document(settings, model.NAME, model.TRAINED_BY)
        learned = Model.from_document(document)
        past = realtime.Past(as_of, interactions.sums(shop.events, as_of, own).persist())
        vectors = content.per_item(shop.items, own.content_width)
        _, goods = training.serving_side(shop, interactions.settled(past.sums), vectors, learned, own)
        judge, seed = ranker.from_document(learned.ranker), settings.run.seed + as_of.toordinal()

        def renew(arrived: DataFrame, now: Shop, into: Settings) -> int:
            day = realtime.day_after(arrived)
            if day is None or day <= as_of:
                return 0
            whom = now.users.join(F.broadcast(realtime.touched(arrived, as_of)), "user_id", "left_semi").cache()
            lists = realtime.refresh(whom, past, now.events, now.items, day, goods, judge, own, seed)
            rows = lists.withColumn("as_of_on", F.lit(as_of))
            merged = tables.merge(rows, into, tables.ITEM_RECOMMENDATIONS, gone="is_gone", day=as_of)
            whom.unpersist()
            return merged

        if not lease.is_held:
            nobodies = realtime.nobodies(shop, as_of, _NOBODIES)
            with tempfile.TemporaryDirectory() as scratch:
                stage = settings.model_copy(update={"paths": settings.paths.model_copy(update={"tables": scratch})})
                for _ in range(_REHEARSALS):
                    renew(nobodies.events, nobodies, stage)
            print(f"standing by at {checkpoint}", file=sys.stderr, flush=True)
            lease.wait()
        arriving = tables.read_stream(spark, settings, tables.EVENTS)

        def follow(arrived: DataFrame, take: int) -> None:
            written.append(renew(arrived, _shop(spark, settings), settings))

        sources.take(arriving, checkpoint, follow, own.stream_every_seconds or None).wait()
        past.sums.unpersist()
    return Outcome(rows_out=sum(written), figures={"recommender_version": version})


def _shop(spark: SparkSession, settings: Settings) -> Shop:
    return Shop(*(tables.read(spark, settings, table) for table in (tables.EVENTS, tables.USERS, tables.ITEMS)))


if __name__ == "__main__":
    launch.main(run, is_stream=True)
