"""What earlier runs left of a promotion: its budget and inventory are for its whole life, a plan is made every night."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.offers import eligibility


def left_of(promotions: DataFrame, offers: DataFrame, as_of: date) -> DataFrame:
    """`promotions` with the budget (money) and inventory (offers) that what was sent before the day of the plan leaves; same rows.

    `offers`: rows of the ledgers. Of the budget goes what was expected to be conceded when it was sent. Never below 0.
    """
    before = F.col("issued_at") < eligibility.midnight(as_of)
    sent = offers.where(F.col("is_sent") & F.col("promotion_id").isNotNull() & before).groupBy("promotion_id")
    used = sent.agg(F.count("*").alias("_sent"), F.sum("expected_cost").alias("_conceded"))
    budget = F.col("budget") - F.coalesce(F.round("_conceded", 2), F.lit(0.0)).cast("decimal(18,2)")
    inventory = F.col("inventory") - F.coalesce("_sent", F.lit(0))
    kinds = {field.name: field.dataType for field in promotions.schema}
    return (
        promotions.join(F.broadcast(used), "promotion_id", "left")
        .withColumn("budget", F.when(F.col("budget").isNotNull(), F.greatest(budget, F.lit(0))).cast(kinds["budget"]))
        .withColumn("inventory", F.when(F.col("inventory").isNotNull(), F.greatest(inventory, F.lit(0))).cast(kinds["inventory"]))
        .select(*promotions.columns)
    )
