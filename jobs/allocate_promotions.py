"""offer_scores, promotions, past_offers, offers -> allocations, allocation_resources."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import allocation, launch, tables
from promoloop.execution import issuing
from promoloop.launch import Outcome
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Give each user at most so many promotions, within every limit, and prove how good the plan is; what was issued stays as it is."""
    run_id, as_of = settings.run.run_id, settings.run.as_of
    if issuing.is_issued(tables.read_or_empty(spark, settings, tables.OFFERS), run_id):
        return Outcome(rows_out=0, figures={"was_issued_before": True})
    scores = tables.read(spark, settings, tables.OFFER_SCORES).where(F.col("as_of_on") == F.lit(as_of))
    promotions = tables.read(spark, settings, tables.PROMOTIONS)
    ledgers = tables.read_all(spark, settings, tables.PAST_OFFERS, tables.OFFERS)
    lately = allocation.recent(ledgers, promotions, as_of, settings.allocation)
    left = allocation.left_of(promotions, ledgers, as_of)
    plan = allocation.plan(scores, left, lately, settings, tables.versions_read(settings))
    written = tables.replace_run(plan.allocations, settings, tables.ALLOCATIONS, run_id)
    described = spark.createDataFrame(plan.resources, tables.ALLOCATION_RESOURCES.schema)
    tables.replace_run(described, settings, tables.ALLOCATION_RESOURCES, run_id)
    proof = plan.certificate
    figures = {"objective": proof.objective, "bound": proof.bound, "gap": proof.gap, "passes": proof.count_passes}
    return Outcome(rows_in=plan.users, rows_out=written, figures=figures)


if __name__ == "__main__":
    launch.main(run)
