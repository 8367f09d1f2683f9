"""What users did next: the labels profile models learn from."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from promoloop.features.days import add_item_facts
from promoloop.features.tastes import engagement


def add_window(events: DataFrame, days: Sequence[date], horizon_days: int) -> DataFrame:
    """Each event once per as_of day in `days` whose window of `horizon_days` days, as_of_on included, it falls into; adds as_of_on."""
    cutoffs = F.explode(F.array(*(F.lit(day).cast("date") for day in days)))
    after = F.datediff("occurred_on", "as_of_on")
    return events.withColumn("as_of_on", cutoffs).where((after >= 0) & (after < horizon_days))


def per_user_outcome(events: DataFrame, items: DataFrame, days: Sequence[date], horizon_days: int) -> DataFrame:
    """What each user bought within `horizon_days` from each of `days`: one row per user_id and as_of_on with at least one purchase.

    next_brand and next_category are those of the first line bought that has one (ties by event_id); relative_price_next is the mean log
    price over the category's typical price; count_bought counts lines.
    """
    bought = events.where((F.col("event_type") == "purchase") & (F.col("quantity") > 0))
    first = F.struct("occurred_at", "event_id")
    return (
        bought.transform(add_window, days, horizon_days)
        .transform(add_item_facts, items)
        .groupBy("user_id", "as_of_on")
        .agg(
            F.min_by("brand", F.when(F.col("brand").isNotNull(), first)).alias("next_brand"),
            F.min_by("category", F.when(F.col("category").isNotNull(), first)).alias("next_category"),
            F.avg("relative_price").cast("double").alias("relative_price_next"),
            F.count("*").alias("count_bought"),
        )
    )


def per_user_form_outcome(events: DataFrame, promotions: DataFrame, days: Sequence[date], horizon_days: int) -> DataFrame:
    """Whether each user redeemed any offer of each form seen within `horizon_days` from each of `days`.

    One row per user_id, as_of_on and form of which an offer was seen or redeemed; is_redeemed is 1.0 or 0.0.
    """
    offers = events.where(F.col("event_type").isin("offer_view", "offer_redeem"))
    forms = F.broadcast(promotions.select("promotion_id", "form"))
    is_redeemed = F.max(F.when(F.col("event_type") == "offer_redeem", 1.0).otherwise(0.0))
    windowed = offers.transform(add_window, days, horizon_days).join(forms, "promotion_id")
    return windowed.groupBy("user_id", "as_of_on", "form").agg(is_redeemed.alias("is_redeemed"))


def per_user_next_interest(events: DataFrame, items: DataFrame, of: str, days: Sequence[date], horizon_days: int) -> DataFrame:
    """The share of each user's engagement that each category or brand (`of`) gets within `horizon_days` from each of `days`.

    One row per user_id, as_of_on and name touched in the window; next_interest sums to 1 over the names of a user and day.
    """
    named = events.join(items.select("item_id", F.col(of).alias("name")), "item_id").where(F.col("name").isNotNull())
    windowed = named.transform(add_window, days, horizon_days)
    weighed = windowed.groupBy("user_id", "as_of_on", "name").agg(engagement().alias("_weight")).where("_weight > 0")
    whole = F.sum("_weight").over(Window.partitionBy("user_id", "as_of_on"))
    return weighed.select("user_id", "as_of_on", "name", (F.col("_weight") / whole).alias("next_interest"))
