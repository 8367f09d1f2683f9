"""What earlier runs left of a promotion: its budget and inventory are for all of its window, a plan is made every night."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.frames import settle
from promoloop.offers import eligibility


def left_of(promotions: DataFrame, offers: DataFrame, as_of: date) -> DataFrame:
    """`promotions` with the budget (money) and inventory (offers) that what was sent before the day of the plan leaves; same rows.

    `offers`: rows of the ledgers. Of the budget goes what was expected to be conceded when it was sent. Never below 0. What was sent for
    an earlier window of the same promotion is not counted: who gives it a new one gives it a budget for that. Settled, so this runs.
    """
    before = F.col("issued_at") < eligibility.midnight(as_of)
    begun = F.broadcast(promotions.select("promotion_id", "starts_at"))
    of_window = offers.where(F.col("is_sent") & before).join(begun, "promotion_id").where(F.col("valid_from_at") >= F.col("starts_at"))
    sent = of_window.groupBy("promotion_id")
    used = sent.agg(F.count("*").alias("_sent"), F.sum("expected_cost").alias("_conceded"))
    budget = F.col("budget") - F.coalesce(F.round("_conceded", 2), F.lit(0.0)).cast("decimal(18,2)")
    inventory = F.col("inventory") - F.coalesce("_sent", F.lit(0))
    kinds = {field.name: field.dataType for field in promotions.schema}
    return settle(
        promotions.join(F.broadcast(used), "promotion_id", "left")
        .withColumn("budget", F.when(F.col("budget").isNotNull(), F.greatest(budget, F.lit(0))).cast(kinds["budget"]))
        .withColumn("inventory", F.when(F.col("inventory").isNotNull(), F.greatest(inventory, F.lit(0))).cast(kinds["inventory"]))
        .select(*promotions.columns)
    )
