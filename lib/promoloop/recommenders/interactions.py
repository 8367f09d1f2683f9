"""What users did with items: strength of each (user, item), weighted by the kind of event and decayed by age."""

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from promoloop.features.days import is_carted
from promoloop.settings.learning import RecommendersSettings

KINDS = ("view", "cart", "purchase")
"""Kinds of evidence by their strength; `kind` in a history is an index here. A review counts as a look."""


def per_user_item(events: DataFrame, as_of: date, settings: RecommendersSettings) -> DataFrame:
    """One row per user and item with an event before `as_of`.

    strength: Σ weight(kind) * 0.5^(age_days / half_life), of purchases the share of the units that were kept; count_purchases: no more
    than units kept; days_since_purchase and days_since_first_purchase: null where never bought; kind: index in KINDS of the strongest
    evidence. What was taken out of a cart is none.
    """
    return settled(sums(events, as_of, settings))


def sums(events: DataFrame, as_of: date, settings: RecommendersSettings) -> DataFrame:
    """The columns of `per_user_item` before they are `settled`, returns not yet balanced: rows that can be `added` and `followed`."""
    return sums_of_all(events.where(F.col("occurred_on") < F.lit(as_of)), as_of, settings)


def sums_of_all(events: DataFrame, day: date, settings: RecommendersSettings) -> DataFrame:
    """As `sums`, of all `events`: what occurred on `day` or later has an age of 0 or less, and so much the more strength."""
    age_days = F.datediff(F.lit(day), "occurred_on")
    is_bought = F.col("event_type") == "purchase"
    is_return = is_bought & F.coalesce(F.col("quantity") < 0, F.lit(False))
    is_purchase = is_bought & ~is_return
    decayed = _weight(settings) * F.pow(F.lit(0.5), age_days / F.lit(settings.half_life_days))
    return (
        events.where(F.col("event_type").isin("view", "purchase", "review") | is_carted())
        .where(F.col("item_id").isNotNull() & F.col("user_id").isNotNull())
        .select(
            "user_id",
            "item_id",
            F.when(is_bought, 0.0).otherwise(decayed).alias("strength"),
            F.when(is_purchase, decayed).otherwise(0.0).alias("strength_bought"),
            F.when(is_purchase, F.greatest("quantity", F.lit(1))).otherwise(0).alias("units_bought"),
            F.when(is_return, -F.col("quantity")).otherwise(0).alias("units_returned"),
            is_purchase.cast("int").alias("count_purchases"),
            F.when(is_purchase, age_days).alias("days_since_purchase"),
            F.when(is_purchase, age_days).alias("days_since_first_purchase"),
            _kind().alias("kind"),
            age_days.alias("days_since_event"),
        )
        .transform(_summed)
    )


def added(earlier: DataFrame, later: DataFrame) -> DataFrame:
    """Rows of `sums`, as of one day, of two sets of events together."""
    return earlier.unionByName(later).transform(_summed)


def followed(known: DataFrame, settings: RecommendersSettings) -> DataFrame:
    """Rows of `sums` as they are on the day after each user's own last event, where that is later than the day they are of."""
    last = F.min("days_since_event").over(Window.partitionBy("user_id"))
    dated = known.withColumn("_days", F.greatest(F.lit(1) - last, F.lit(0)))
    decay = F.pow(F.lit(0.5), F.col("_days") / F.lit(settings.half_life_days))
    weaker = {name: F.col(name) * decay for name in ("strength", "strength_bought")}
    later = {name: F.col(name) + F.col("_days") for name in ("days_since_purchase", "days_since_first_purchase", "days_since_event")}
    return dated.withColumns({**weaker, **later}).drop("_days")


def settled(summed: DataFrame) -> DataFrame:
    """Rows of `per_user_item` from those of `sums`: of what was sent back nothing is left."""
    kept = F.greatest(F.col("units_bought") - F.col("units_returned"), F.lit(0))
    share = F.coalesce(F.try_divide(kept.cast("double"), F.col("units_bought").cast("double")), F.lit(0.0))
    strength = F.col("strength") + F.col("strength_bought") * share
    bought = F.least(F.col("count_purchases"), kept).cast("int")
    balanced = summed.withColumns({"strength": strength, "count_purchases": bought}).where(F.col("strength") > 0)
    return balanced.drop("strength_bought", "units_bought", "units_returned", "days_since_event")


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
        *(F.sum(name).alias(name) for name in ("strength", "strength_bought", "units_bought", "units_returned")),
        F.sum("count_purchases").cast("int").alias("count_purchases"),
        F.min("days_since_purchase").alias("days_since_purchase"),
        F.max("days_since_first_purchase").alias("days_since_first_purchase"),
        F.max("kind").alias("kind"),
        F.min("days_since_event").alias("days_since_event"),
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
