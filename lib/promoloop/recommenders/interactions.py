"""What users did with items: strength of each (user, item), weighted by the kind of event and decayed by age."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.settings.learning import RecommendersSettings

KINDS = ("view", "cart", "purchase")
"""Kinds of evidence by their strength; `kind` in a history is an index here. A review counts as a look."""


def per_user_item(events: DataFrame, as_of: date, settings: RecommendersSettings) -> DataFrame:
    """One row per user and item with an event before `as_of`.

    strength: Σ weight(kind) * 0.5^(age_days / half_life); count_purchases: purchases less returns, at least 0;
    days_since_purchase and days_since_first_purchase: null where never bought; kind: index in KINDS of the strongest evidence.
    """
    return settled(sums(events, as_of, settings))


def sums(events: DataFrame, as_of: date, settings: RecommendersSettings) -> DataFrame:
    """The columns of `per_user_item` before they are `settled`, returns not yet balanced: rows that can be `aged` and `added`."""
    age_days = F.datediff(F.lit(as_of), "occurred_on")
    is_return = F.coalesce(F.col("quantity") < 0, F.lit(False))
    is_purchase = (F.col("event_type") == "purchase") & ~is_return
    decayed = _weight(settings) * F.pow(F.lit(0.5), age_days / F.lit(settings.half_life_days))
    return (
        events.where(F.col("event_type").isin(*KINDS, "review") & F.col("item_id").isNotNull() & F.col("user_id").isNotNull())
        .where(F.col("occurred_on") < F.lit(as_of))
        .select(
            "user_id",
            "item_id",
            F.when(is_return, -decayed).otherwise(decayed).alias("strength"),
            F.when(is_return, -1).when(is_purchase, 1).otherwise(0).alias("count_purchases"),
            F.when(is_purchase, age_days).alias("days_since_purchase"),
            F.when(is_purchase, age_days).alias("days_since_first_purchase"),
            _kind().alias("kind"),
        )
        .transform(_summed)
    )


def aged(known: DataFrame, days: int, settings: RecommendersSettings) -> DataFrame:
    """Rows of `sums` as they are `days` later."""
    later = {name: F.col(name) + F.lit(days) for name in ("days_since_purchase", "days_since_first_purchase")}
    return known.withColumns({"strength": F.col("strength") * F.lit(0.5 ** (days / settings.half_life_days)), **later})


def added(earlier: DataFrame, later: DataFrame) -> DataFrame:
    """Rows of `sums`, as of one day, of two sets of events together."""
    return earlier.unionByName(later).transform(_summed)


def settled(summed: DataFrame) -> DataFrame:
    """Rows of `per_user_item` from those of `sums`: what was sent back leaves nothing."""
    bought = F.greatest(F.col("count_purchases"), F.lit(0))
    return summed.where(F.col("strength") > 0).withColumn("count_purchases", bought)


def histories(interactions: DataFrame, item_indexes: DataFrame, settings: RecommendersSettings) -> DataFrame:
    """One row per user with interactions: `history`, strongest first, at most `max_history` items; `item` is the item's index.

    Items unknown to `item_indexes` (item_id, item_index) are left out.
    """
    entry = F.struct(
        F.col("strength").cast("float").alias("strength"),
        F.col("item_index").alias("item"),
        F.col("count_purchases").alias("purchases"),
        F.coalesce("days_since_purchase", F.lit(-1)).alias("days"),
        F.col("kind"),
    )
    return (
        interactions.join(F.broadcast(item_indexes), "item_id")
        .groupBy("user_id")
        .agg(F.slice(F.sort_array(F.collect_list(entry), asc=False), 1, settings.max_history).alias("history"))
    )


def _summed(parts: DataFrame) -> DataFrame:
    """One row of `sums` per user and item from rows of its columns, of single events or of sums."""
    return parts.groupBy("user_id", "item_id").agg(
        F.sum("strength").alias("strength"),
        F.sum("count_purchases").cast("int").alias("count_purchases"),
        F.min("days_since_purchase").alias("days_since_purchase"),
        F.max("days_since_first_purchase").alias("days_since_first_purchase"),
        F.max("kind").alias("kind"),
    )


def _weight(settings: RecommendersSettings) -> Column:
    """Weight of an event: by kind; a review counts by its stars, from 0 (1 star) to twice its weight (5 stars)."""
    kind = F.col("event_type")
    stars = (F.coalesce(F.col("rating"), F.lit(3)) - 1) / 2.0
    return (
        F.when(kind == "purchase", F.lit(settings.weight_purchase))
        .when(kind == "cart", F.lit(settings.weight_cart))
        .when(kind == "review", F.lit(settings.weight_review) * stars)
        .otherwise(F.lit(settings.weight_view))
    )


def _kind() -> Column:
    """Index in KINDS."""
    kind = F.col("event_type")
    return F.when(kind == "purchase", 2).when(kind == "cart", 1).otherwise(0)
