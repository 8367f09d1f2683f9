"""events (as they arrive), users, items, recommender model (MLflow) -> item_recommendations of the users who did something."""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
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

_NAME = "stream_recommendations"
# takes that a standby rehearses, and users in them: the second is the first that merges; after six a real one costs what it costs later
_REHEARSALS, _NOBODIES = 6, 200


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Follow the events: every `stream_every_seconds` until stopped, or (0) what is there now.

    One process does at a time. With `stream_standby` another waits, ready to the point of having rehearsed, and takes over.
    """
    checkpoint, processes = tables.checkpoint(settings, _NAME), partial(session.processes, spark)
    with (
        sources.lease(checkpoint, settings.recommenders.stream_standby, processes) as lease,
        tables.held(spark, settings, tables.USERS) as users,
        tables.held(spark, settings, tables.ITEMS) as items,
    ):

        def shop() -> Shop:
            """As it is now; users and items, which seldom change, from memory."""
            return Shop(tables.read(spark, settings, tables.EVENTS), users(), items())

        keys = _keys(spark, settings)
        follower, version = _follower(shop(), settings)
        if not lease.is_held:
            _rehearse(spark, follower, shop(), settings)
            print(f"standing by at {checkpoint}", file=sys.stderr, flush=True)
            lease.wait()
            if (registry.version_in_use(settings, model.NAME, model.TRAINED_BY), _keys(spark, settings)) != (version, keys):
                raise UserError("the model or the key of the pseudonyms changed while this process stood by: start it again")
        written = _follow(spark, follower, shop, settings, settings.recommenders.stream_every_seconds or None)
        follower.past.sums.unpersist()
    return Outcome(rows_out=written, figures={"recommender_version": version})


def _follow(spark: SparkSession, follower: Follower, shop: Callable[[], Shop], settings: Settings, every_seconds: int | None) -> int:
    """Renew the lists of whom new events are about, take by take, to the end of the stream; return the rows written."""
    as_of, written = follower.past.as_of, 0

    def renew(arrived: DataFrame, take: int) -> None:
        nonlocal written
        with follower.lists(arrived, shop()) as lists:
            if lists is not None:
                dated = lists.withColumn("as_of_on", F.lit(as_of))
                written += tables.merge(dated, settings, tables.ITEM_RECOMMENDATIONS, gone="is_gone", day=as_of)

    arriving = tables.read_stream(spark, settings, tables.EVENTS)
    sources.take(arriving, tables.checkpoint(settings, _NAME), renew, every_seconds, is_by_key=True).wait()
    return written


def _follower(shop: Shop, settings: Settings) -> tuple[Follower, str]:
    own, as_of = settings.recommenders, settings.run.as_of
    document, version = registry.load_document(settings, model.NAME, model.TRAINED_BY)
    learned = Model.from_document(document)
    past = realtime.Past(as_of, interactions.sums(shop.events, as_of, own).persist())
    vectors = content.per_item(shop.items, own.content_width)
    _, goods = training.serving_side(shop, interactions.settled(past.sums), vectors, learned, own)
    return Follower(past, goods, ranker.from_document(learned.ranker), own, settings.run.seed + as_of.toordinal()), version


def _rehearse(spark: SparkSession, follower: Follower, shop: Shop, settings: Settings) -> None:
    """Follow what nobody did, in tables that are thrown away: so that the first real take finds all that it needs at hand."""
    nobodies = realtime.nobodies(shop, settings.run.as_of, _NOBODIES)
    with tempfile.TemporaryDirectory() as scratch:
        stage = settings.at(tables=f"{scratch}/tables", checkpoints=f"{scratch}/checkpoints")
        for take in range(_REHEARSALS):
            tables.append_once(nobodies.events, stage, tables.EVENTS, "rehearsal", take)
            _follow(spark, follower, lambda: replace(nobodies, events=tables.read(spark, stage, tables.EVENTS)), stage, None)


def _keys(spark: SparkSession, settings: Settings) -> int | None:
    """The version of the ring of keys that pseudonyms are made by; None where they were never changed."""
    return tables.version(spark, settings, tables.KEY_RING) if tables.exists(spark, settings, tables.KEY_RING) else None


if __name__ == "__main__":
    launch.main(run, is_stream=True)
