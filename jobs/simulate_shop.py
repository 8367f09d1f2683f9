"""The embedded shop: settings, and offers once issued -> raw files in the landing folder, truth_users, truth_offers."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import launch, privacy, tables
from promoloop.launch import Outcome
from promoloop.settings import Settings
from promoloop.simulator import chapters, landing, ledger, shop, truth
from promoloop.simulator.world import day_of, number


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Open the shop with its history; once run.as_of has offers, live the days after it. Nothing where that is done."""
    finished = landing.manifests(spark, settings.paths.landing)
    world, key = chapters.world_of(settings, finished), privacy.key_in_use(settings, tables.read_or_empty(spark, settings, tables.KEY_RING))
    chapter, blocks, offers = shop.history(world), shop.history_blocks(spark, world), ""
    if finished and tables.exists(spark, settings, tables.TRUTH_USERS):
        decided = _decided(spark, settings)
        offers = "" if decided is None else ledger.fingerprint(decided)
        state = tables.read(spark, settings, tables.TRUTH_USERS).where(F.col("as_of_on") == F.lit(settings.run.as_of))
        if decided is None or chapters.lived(settings, finished, offers if state.count() == world.users else None) is not None:
            return Outcome(figures={"batches": len(finished)})
        promotions = ledger.promotions(tables.read(spark, settings, tables.PROMOTIONS), world, number(settings.run.as_of))
        chapter = shop.continuation(world, number(settings.run.as_of), promotions)
        blocks = ledger.blocks(world, state, decided, key, chapter.first)
    ends = day_of(chapter.until)
    tables.replace_day(truth.users(chapter, blocks, key), settings, tables.TRUTH_USERS, ends)
    tables.replace_day(truth.offers(chapter, blocks, key), settings, tables.TRUTH_OFFERS, ends)
    written = chapters.write(spark, settings, chapter, blocks, finished, offers)
    return Outcome(rows_out=written.rows["events"], figures={"batch": written.batch})


def _decided(spark: SparkSession, settings: Settings) -> DataFrame | None:
    """The offers sent by the plan of run.as_of, or None where it has issued nothing yet."""
    if not tables.exists(spark, settings, tables.OFFERS):
        return None
    offers = tables.read(spark, settings, tables.OFFERS).where(F.col("run_id") == settings.run.run_id)
    return None if offers.isEmpty() else ledger.sent(offers)


if __name__ == "__main__":
    launch.main(run)
