"""What users did within an offer's window, whether it was sent or withheld."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.offers.log import is_within

OUTCOMES = ("revenue", "margin", "concession", "profit", "is_redeemed", "own_concession", "redeemed_spend")


def per_offer(offers: DataFrame, log: DataFrame) -> DataFrame:
    """`offers` (any rows with offer_id, user_id, valid_from_at, valid_until_at) and the outcomes of each; one row per offer.

    revenue, margin, concession and profit = margin - concession are those of the user in [valid_from_at, valid_until_at), whatever
    caused them: a comparison between arms makes effects of them. is_redeemed, own_concession and redeemed_spend (money spent in the
    redeeming order) belong to this very offer. Money as double.
    """
    windows = offers.select("offer_id", "user_id", "valid_from_at", "valid_until_at")
    done = log.where(F.col("event_type").isin("purchase", "offer_redeem")).select(
        "user_id", "event_type", "occurred_at", "revenue", "margin", "concession", "order_id", F.col("offer_id").alias("_offer_id")
    )
    within = windows.join(done, "user_id").where(is_within(F.col("occurred_at"), F.col("valid_from_at"), F.col("valid_until_at")))
    own = (F.col("event_type") == "offer_redeem") & (F.col("_offer_id") == F.col("offer_id"))
    totals = within.groupBy("offer_id").agg(
        *(F.sum(name).cast("double").alias(name) for name in ("revenue", "margin", "concession")),
        F.sum(F.when(own, F.col("concession"))).cast("double").alias("own_concession"),
        F.coalesce(F.max(own), F.lit(False)).alias("is_redeemed"),
        F.max(F.when(own, F.col("order_id"))).alias("_order_id"),
    )
    spent = done.where("event_type = 'purchase'").groupBy("user_id", F.col("order_id").alias("_order_id"))
    orders = spent.agg(F.sum("revenue").cast("double").alias("redeemed_spend"))
    zero = dict.fromkeys(("revenue", "margin", "concession", "own_concession"), 0.0)
    return (
        offers.join(totals, "offer_id", "left")
        .fillna({**zero, "is_redeemed": False})
        .join(orders, ["user_id", "_order_id"], "left")
        .withColumn("profit", F.col("margin") - F.col("concession"))
        .select(*offers.columns, *OUTCOMES)
    )
