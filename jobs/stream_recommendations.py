"""events (as they arrive), users, items, recommender model (MLflow) -> item_recommendations of the users who did something."""

import sys
import tempfile
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import launch, registry, session, sources, tables
from promoloop.errors import UserError
from promoloop.launch import Outcome
from promoloop.recommenders import content, interactions, model, ranker, realtime, training
from promoloop.recommenders.model import Model
from promoloop.recommenders.realtime import Follower
from promoloop.recommenders.training import Shop
from promoloop.settings import Settings

# takes that a standby rehearses, and users in them: the second is the first that merges, the third finds its code compiled
_REHEARSALS, _NOBODIES = 3, 200


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Follow the events: every `stream_every_seconds` until stopped, or (0) what is there now.

    One process does at a time. With `stream_standby` another waits, ready to the point of having rehearsed, and takes over.
    """
    checkpoint, written = tables.checkpoint(settings, "stream_recommendations"), 0
    with sources.lease(checkpoint, settings.recommenders.stream_standby, partial(session.processes, spark)) as lease:
        keys = _keys(spark, settings)
        follower, version = _follower(spark, settings)
        if not lease.is_held:
            _rehearse(follower, spark, settings)
            print(f"standing by at {checkpoint}", file=sys.stderr, flush=True)
            lease.wait()
            if (registry.version_in_use(settings, model.NAME, model.TRAINED_BY), _keys(spark, settings)) != (version, keys):
                raise UserError("the model or the key of the pseudonyms changed while this process stood by: start it again")

        def follow(arrived: DataFrame, take: int) -> None:
            nonlocal written
            written += _renew(follower, arrived, _shop(spark, settings), settings)

        arriving = tables.read_stream(spark, settings, tables.EVENTS)
        sources.take(arriving, checkpoint, follow, settings.recommenders.stream_every_seconds or None).wait()
        follower.past.sums.unpersist()
    return Outcome(rows_out=written, figures={"recommender_version": version})


def _follower(spark: SparkSession, settings: Settings) -> tuple[Follower, str]:
    own, as_of, shop = settings.recommenders, settings.run.as_of, _shop(spark, settings)
    document, version = registry.load_document(settings, model.NAME, model.TRAINED_BY)
    learned = Model.from_document(document)
    past = realtime.Past(as_of, interactions.sums(shop.events, as_of, own).persist())
    vectors = content.per_item(shop.items, own.content_width)
    _, goods = training.serving_side(shop, interactions.settled(past.sums), vectors, learned, own)
    return Follower(past, goods, ranker.from_document(learned.ranker), own, settings.run.seed + as_of.toordinal()), version


def _renew(follower: Follower, arrived: DataFrame, shop: Shop, into: Settings) -> int:
    as_of = follower.past.as_of
    with follower.lists(arrived, shop) as lists:
        if lists is None:
            return 0
        return tables.merge(lists.withColumn("as_of_on", F.lit(as_of)), into, tables.ITEM_RECOMMENDATIONS, gone="is_gone", day=as_of)


def _rehearse(follower: Follower, spark: SparkSession, settings: Settings) -> None:
    """Takes of nobody's events, into a table that is thrown away: so that the first real one finds all that it needs at hand."""
    nobodies = realtime.nobodies(_shop(spark, settings), settings.run.as_of, _NOBODIES)
    with tempfile.TemporaryDirectory() as scratch:
        stage = settings.at(tables=scratch)
        nobodies.events.cache()
        for _ in range(_REHEARSALS):
            _renew(follower, nobodies.events, nobodies, stage)
        nobodies.events.unpersist()


def _keys(spark: SparkSession, settings: Settings) -> int | None:
    """The version of the ring of keys that pseudonyms are made by; None where they were never changed."""
    return tables.version(spark, settings, tables.KEY_RING) if tables.exists(spark, settings, tables.KEY_RING) else None


def _shop(spark: SparkSession, settings: Settings) -> Shop:
    return Shop(*(tables.read(spark, settings, table) for table in (tables.EVENTS, tables.USERS, tables.ITEMS)))


if __name__ == "__main__":
    launch.main(run, is_stream=True)
