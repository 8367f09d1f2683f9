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
from promoloop.tables import Table

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
        keys = _version(spark, settings, tables.KEY_RING)

        def shop() -> Shop:
            """As it is now; users and items, which seldom change, from memory. Raises UserError once its users go by other pseudonyms."""
            if _version(spark, settings, tables.KEY_RING) != keys:
                raise UserError("the key of the pseudonyms changed while this process followed the events: start it again")
            return Shop(tables.read(spark, settings, tables.EVENTS), users(), items())

        follower, version = _follower(shop(), settings)
        if not lease.is_held:
            _rehearse(spark, follower, shop(), settings)
            print(f"standing by at {checkpoint}", file=sys.stderr, flush=True)
            lease.wait()
            in_use = registry.version_in_use(settings, model.NAME, model.TRAINED_BY)
            if (in_use, _version(spark, settings, tables.KEY_RING)) != (version, keys):
                raise UserError("the model or the key of the pseudonyms changed while this process stood by: start it again")
        written = _follow(spark, follower, shop, settings, settings.recommenders.stream_every_seconds or None)
        follower.past.sums.unpersist()
    return Outcome(rows_out=written, figures={"recommender_version": version})


def _follow(spark: SparkSession, follower: Follower, shop: Callable[[], Shop], settings: Settings, every_seconds: int | None) -> int:
    """Renew the lists of whom new events are about, take by take, to the end of the stream; return the rows written.

    Events come once, whatever day they are taken for. So where somebody else wrote lists since the last take for this day (as
    `recommend_items` does, or a stream for another day), all who did something on the day or later are renewed, at once.
    """
    as_of, checkpoint, written = follower.past.as_of, tables.checkpoint(settings, _NAME), 0
    seen = _version(spark, settings, tables.ITEM_RECOMMENDATIONS)
    is_behind = not _is_by_stream(spark, settings)

    def renew(arrived: DataFrame, take: int) -> None:
        nonlocal is_behind, seen, written
        now, before = shop(), _version(spark, settings, tables.ITEM_RECOMMENDATIONS)
        is_behind = is_behind or seen != before
        with follower.lists(now.events if is_behind else arrived, now, are_few=not is_behind) as lists:
            if lists is not None:
                dated = lists.withColumn("as_of_on", F.lit(as_of))
                written += tables.merge(dated, settings, tables.ITEM_RECOMMENDATIONS, gone="is_gone", day=as_of)
        seen = _version(spark, settings, tables.ITEM_RECOMMENDATIONS)
        is_behind = (seen or 0) > (before or 0) + 1  # more than the commit of this take: others wrote meanwhile

    arriving = tables.read_stream(spark, settings, tables.EVENTS)
    if is_behind and not sources.is_new(spark, checkpoint):  # from a new one the first take brings all there is
        renew(tables.read(spark, settings, tables.EVENTS), -1)
    sources.take(arriving, checkpoint, renew, every_seconds, is_by_key=True).wait()
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


def _version(spark: SparkSession, settings: Settings, table: Table) -> int | None:
    """The table's version; None where there is no table, as of the ring of keys before these are first changed."""
    try:
        return tables.version(spark, settings, table)
    except UserError:
        return None


def _is_by_stream(spark: SparkSession, settings: Settings) -> bool:
    """Whether the newest version of the lists was written by a stream for this day: it alone merges, and notes the day's run."""
    if not tables.exists(spark, settings, tables.ITEM_RECOMMENDATIONS):
        return False
    newest = spark.sql(f"DESCRIBE HISTORY {tables.address(settings, tables.ITEM_RECOMMENDATIONS)} LIMIT 1").first()
    return newest is not None and newest["operation"] == "MERGE" and settings.run.run_id in (newest["userMetadata"] or "")


if __name__ == "__main__":
    launch.main(run, is_stream=True)
