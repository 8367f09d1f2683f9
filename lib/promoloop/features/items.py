"""Point-in-time features of items."""

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from promoloop.features.cutoffs import add_as_of
from promoloop.features.days import CENTS, is_carted
from promoloop.features.users import WINDOWS


def per_item(events: DataFrame, items: DataFrame, as_of: date, lookback_days: int) -> DataFrame:
    """Features of every item on `as_of`: one row per item_id, items nobody touched included.

    Price, cost and stock are the item's current ones; everything else is from events that occurred before `as_of`. What was bought at a
    price the event does not tell counts at the item's.
    """
    kind, is_bought = F.col("event_type"), (F.col("event_type") == "purchase") & (F.col("quantity") > 0)
    quantity = F.when(kind == "purchase", F.col("quantity").cast("bigint"))
    by_day = (
        events.where(F.col("item_id").isNotNull())
        .groupBy("item_id", "occurred_on")
        .agg(
            F.count_if(kind == "view").alias("views"),
            F.count_if(is_carted()).alias("carts"),
            F.count_if(is_bought).alias("purchases"),
            F.coalesce(F.sum(F.when(is_bought, F.col("quantity"))), F.lit(0)).alias("units"),
            F.coalesce(F.sum(quantity * _cents()), F.lit(0)).alias("revenue"),
            F.coalesce(F.sum(F.when(F.col("price").isNull(), quantity)), F.lit(0)).alias("unpriced"),
            F.count_if(kind == "review").alias("reviews"),
            F.coalesce(F.sum(F.when(kind == "review", F.col("rating"))), F.lit(0)).alias("stars"),
        )
    )
    age = F.col("_age")
    counted = [
        F.sum(F.when(age <= window, F.col(name))).alias(f"count_{name}_{window}d")
        for name in ("views", "carts", "purchases", "units")
        for window in WINDOWS
    ]
    totals = (
        by_day.transform(add_as_of, [as_of], lookback_days)
        .groupBy("item_id")
        .agg(
            *counted,
            *(F.sum(F.when(age <= 90, F.col(name))).alias(f"_{name}") for name in ("revenue", "unpriced")),
            F.sum("reviews").alias("count_reviews"),
            F.sum("stars").alias("_stars"),
            F.min(F.when(F.col("purchases") > 0, age)).alias("days_since_purchase"),
            F.max(age).alias("days_since_first_event"),
        )
    )
    return items.select("item_id", "category", "brand", "price", "unit_cost").join(totals, "item_id", "left").transform(_finish, as_of)


def _finish(totals: DataFrame, as_of: date) -> DataFrame:
    counts = [name for name in totals.columns if name.startswith("count_")]
    filled = totals.withColumns({name: F.coalesce(name, F.lit(0)) for name in counts})
    revenue = F.coalesce("_revenue", F.lit(0)) + F.coalesce(F.col("_unpriced") * _cents(), F.lit(0))
    price, margin = F.col("price").cast("double"), (F.col("price") - F.col("unit_cost")).cast("double")
    peers = Window.partitionBy("category")
    by_interest = peers.orderBy("count_views_90d", "count_units_90d", "item_id")
    return filled.withColumns(
        {
            "as_of_on": F.lit(as_of).cast("date"),
            "revenue_90d": revenue / CENTS,
            "conversion_90d": F.try_divide(F.col("count_purchases_90d").cast("double"), F.col("count_views_90d")),
            "popularity": F.percent_rank().over(by_interest),
            "price": price,
            "price_position": F.log(F.try_divide(F.when(price > 0, price), F.median("price").over(peers))),
            "margin_rate": F.try_divide(margin, price),
            "mean_rating": F.try_divide(F.col("_stars").cast("double"), F.col("count_reviews")),
        }
    ).drop("_stars", "_revenue", "_unpriced", "unit_cost")


def _cents() -> Column:
    return F.round(F.col("price").cast("double") * CENTS).cast("bigint")
