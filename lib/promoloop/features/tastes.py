"""What a user is drawn to: engagement with categories and brands."""

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from promoloop.features.cutoffs import add_as_of
from promoloop.features.days import is_carted

# A cart says more than a view, a purchase more than a cart; the weights follow the square root of how rare each is (119 : 3.1 : 1).
WEIGHTS = {"views": 1, "carts": 6, "units": 11}
TASTE_TYPE = "array<struct<name:string,interest:double,views:bigint,carts:bigint,units:bigint,days_since:int>>"


def per_user_taste(events: DataFrame, of: str, days: Sequence[date], lookback_days: int, kept: int) -> DataFrame:
    """Each user's tastes in categories or brands (`of`), from events with item facts: one row per user_id and as_of_on.

    `tastes` lists the `kept` names of the most engagement, best first, each with its interest (its share of the user's engagement, 0 to 1),
    counts and the days since it was last touched; `count_tastes` counts all names touched, `entropy` (nats) tells how spread they are,
    `top` and `top_share` are the first of the list.
    """
    counts = [count.alias(name) for name, count in _counts().items()]
    by_day = events.where(F.col(of).isNotNull()).groupBy("user_id", "occurred_on", F.col(of).alias("name")).agg(*counts)
    by_name = (
        by_day.transform(add_as_of, days, lookback_days)
        .groupBy("user_id", "as_of_on", "name")
        .agg(*(F.sum(name).alias(name) for name in WEIGHTS), F.min("_age").cast("int").alias("days_since"))
        .withColumn("_weight", _weighted({name: F.col(name) for name in WEIGHTS}))
        .where("_weight > 0")
    )
    whole = Window.partitionBy("user_id", "as_of_on")
    shares = by_name.withColumn("interest", F.col("_weight") / F.sum("_weight").over(whole))
    entry = F.struct((-F.col("_weight")).alias("_order"), "name", "interest", *WEIGHTS, "days_since")
    listed = shares.groupBy("user_id", "as_of_on").agg(F.array_sort(F.collect_list(entry)).alias("_all"))
    return listed.select("user_id", "as_of_on", *_summary(F.col("_all"), kept))


def interest(tastes: Column, name: Column) -> Column:
    """The interest (0 to 1) that a `categories` or `brands` column gives to `name`; 0 where the user never touched it."""
    found = F.element_at(F.filter(tastes, lambda taste: taste["name"] == name), 1)["interest"]
    return F.when(F.size(F.filter(tastes, lambda taste: taste["name"] == name)) > 0, found).otherwise(F.lit(0.0))


def engagement() -> Column:
    """The weighted engagement of a group of events, as an aggregate."""
    return _weighted(_counts())


def _weighted(counts: Mapping[str, Column]) -> Column:
    return sum((counts[name] * weight for name, weight in WEIGHTS.items()), F.lit(0))


def _counts() -> dict[str, Column]:
    kind, is_bought = F.col("event_type"), (F.col("event_type") == "purchase") & (F.col("quantity") > 0)
    units = F.coalesce(F.sum(F.when(is_bought, F.col("quantity"))), F.lit(0)).cast("bigint")
    return {"views": F.count_if(kind == "view"), "carts": F.count_if(is_carted()), "units": units}


def _summary(everything: Column, kept: int) -> list[Column]:
    def surprise(total: Column, taste: Column) -> Column:
        return total - taste["interest"] * F.log(taste["interest"])

    fields = ("name", "interest", *WEIGHTS, "days_since")
    shown = F.transform(F.slice(everything, 1, kept), lambda taste: F.struct(*(taste[field].alias(field) for field in fields)))
    return [
        shown.cast(TASTE_TYPE).alias("tastes"),
        F.size(everything).cast("bigint").alias("count_tastes"),
        F.round(F.aggregate(everything, F.lit(0.0), surprise), 9).alias("entropy"),
        everything[0]["name"].alias("top"),
        everything[0]["interest"].alias("top_share"),
    ]
