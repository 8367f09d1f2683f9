"""allocations, allocation_resources, offer_scores, promotions, past_offers -> offers, channel files."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import allocation, launch, privacy, tables
from promoloop.errors import UserError
from promoloop.execution import channels, issuing
from promoloop.launch import Outcome
from promoloop.offers import eligibility
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Draw arms, log every decision with its propensity, and write what each channel has to send. A run is issued once; its files anew."""
    run_id, own = settings.run.run_id, F.col("run_id") == settings.run.run_id
    promotions = tables.read(spark, settings, tables.PROMOTIONS)
    key = privacy.key_in_use(settings, tables.read_or_empty(spark, settings, tables.KEY_RING))
    is_issued = issuing.is_issued(tables.read_or_empty(spark, settings, tables.OFFERS), run_id)
    # what a changed plan adds to what was sent would be over its limits: a run is issued once, in one commit
    written = 0 if is_issued else tables.replace_run(_offers(spark, settings, promotions, key), settings, tables.OFFERS, run_id)
    ledger = tables.read(spark, settings, tables.OFFERS).where(own)
    folder = channels.write(ledger, promotions, settings.paths.out, run_id)
    by_arm = {f"offers_{row['arm']}": row["count"] for row in ledger.groupBy("arm").count().orderBy("arm").collect()}
    return Outcome(rows_out=written, figures={**by_arm, "channel_files": folder, "was_issued_before": is_issued})


def _offers(spark: SparkSession, settings: Settings, promotions: DataFrame, key: privacy.Key) -> DataFrame:
    """What the plan of run.as_of decides. Raises UserError where there is none, or a promotion is not open any more."""
    as_of, run_id, own = settings.run.as_of, settings.run.run_id, F.col("run_id") == settings.run.run_id
    allocations = tables.read(spark, settings, tables.ALLOCATIONS).where(own)
    resources = tables.read(spark, settings, tables.ALLOCATION_RESOURCES).where(own)
    if resources.isEmpty():  # explorers alone would be issued, within no limit
        raise UserError(f"there is no plan {run_id}: run allocate_promotions first")
    scores = tables.read(spark, settings, tables.OFFER_SCORES).where(F.col("as_of_on") == F.lit(as_of))
    ledgers = tables.read_all(spark, settings, tables.PAST_OFFERS, tables.OFFERS)
    lately = allocation.recent(ledgers, promotions, as_of, settings.allocation)
    windows = eligibility.open_promotions(promotions, as_of, settings.offers.horizon_days)
    ended = allocations.select("promotion_id").distinct().join(windows, "promotion_id", "left_anti").orderBy("promotion_id").first()
    if ended is not None:
        raise UserError(
            f"promotion {ended['promotion_id']} of the plan is not open any more: run score_offers and allocate_promotions again"
        )
    free = allocation.applied(scores.join(F.broadcast(windows), "promotion_id", "left_semi"), promotions, lately, settings.allocation)
    decisions = issuing.assign(allocations, scores, free, resources, run_id, settings.execution)
    return issuing.to_offers(decisions, windows, run_id, as_of, settings.offers.horizon_days, key)


if __name__ == "__main__":
    launch.main(run)
