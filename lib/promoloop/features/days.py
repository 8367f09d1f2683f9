"""Behaviour by day: the one pass over the log that every user feature is made from.

Windows end at midnight UTC before `as_of`, so whole days are exact; several as_of days then cost one pass over the log, not one each.
Sums are of whole numbers (money in hundredths, logs in millionths): equal whatever the order Spark adds them in, and quick.
"""

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

FORMS = ("spend_threshold", "discount", "gift", "flash_sale")
DAYPARTS = {"night": (0, 6), "morning": (6, 12), "afternoon": (12, 18), "evening": (18, 24)}
SHOP_TYPES = ("view", "cart", "purchase")
CENTS = 100
MILLIONTHS = 1_000_000


def add_item_facts(events: DataFrame, items: DataFrame) -> DataFrame:
    """Events with category, brand, unit_price (money) and relative_price, the log of unit_price over the category's median list price.

    Grain kept. All four are null on offer events; relative_price is null where a price is missing or not positive.
    The event's own price goes before the item's, which is only the current one.
    """
    typical = items.groupBy("category").agg(F.median("price").alias("_typical"))
    facts = items.join(typical, "category", "left").select("item_id", "category", "brand", F.col("price").alias("_listed"), "_typical")
    unit_price = F.coalesce("price", "_listed").cast("double")
    is_priced = (F.col("unit_price") > 0) & (F.col("_typical") > 0)
    relative = F.log(F.col("unit_price") / F.col("_typical"))
    with_facts = events.join(facts, "item_id", "left").withColumn("unit_price", unit_price)
    return with_facts.withColumn("relative_price", F.when(is_priced, relative)).drop("_listed", "_typical")


def per_user_day(events: DataFrame, promotions: DataFrame) -> DataFrame:
    """Measures of each user's day, from events with item facts: one row per user_id and occurred_on (UTC) on which the user did anything.

    Counts are events, except visits (sessions) and orders (orders with something bought); spend and concession in cents.
    """
    forms = F.broadcast(promotions.select("promotion_id", "form"))
    kind, is_bought = F.col("event_type"), (F.col("event_type") == "purchase") & (F.col("quantity") > 0)
    session = F.when(kind.isin(*SHOP_TYPES), F.coalesce("session_id", "order_id"))
    order = F.when(is_bought, F.coalesce("order_id", "session_id", "event_id"))
    marked = events.join(forms, "promotion_id", "left").withColumns({"_session": session, "_order": order})
    measures = _measures()
    # sessions and orders are counted by grouping on them first: a distinct count beside thirty sums is far slower
    by_order = marked.repartition("user_id").groupBy("user_id", "occurred_on", "_session", "_order").agg(*measures.values())
    by_session = by_order.groupBy("user_id", "occurred_on", "_session").agg(*_sums(measures), F.count("_order").alias("orders"))
    days = by_session.groupBy("user_id", "occurred_on").agg(*_sums([*measures, "orders"]), F.count("_session").alias("visits"))
    bought_on = F.when(F.col("orders") > 0, F.col("occurred_on"))
    earlier = Window.partitionBy("user_id").orderBy("occurred_on").rowsBetween(Window.unboundedPreceding, -1)
    gap = F.datediff("occurred_on", F.max(bought_on).over(earlier))
    return days.withColumn("order_gap", F.when(F.col("orders") > 0, gap))


def is_carted() -> Column:
    """Whether an event puts something into a cart: one of a negative quantity takes it out again."""
    return (F.col("event_type") == "cart") & (F.coalesce("quantity", F.lit(1)) > 0)


def _sums(names: Iterable[str]) -> list[Column]:
    return [F.sum(name).alias(name) for name in names]


def _measures() -> dict[str, Column]:
    kind, quantity = F.col("event_type"), F.col("quantity").cast("bigint")
    is_shop, is_purchase, hour = kind.isin(*SHOP_TYPES), kind == "purchase", F.hour("occurred_at")
    is_bought, is_returned = is_purchase & (quantity > 0), is_purchase & (quantity < 0)
    cents = F.round(F.col("unit_price") * CENTS).cast("bigint")
    conceded = F.round(F.col("concession").cast("double") * CENTS).cast("bigint")
    measures = {
        **{f"{name}s": F.count_if(kind == name) for name in ("view", "review", "offer_view")},
        "carts": F.count_if(is_carted()),
        "redeems": F.count_if(kind == "offer_redeem"),
        "units": _sum(is_bought, quantity),
        "units_returned": _sum(is_returned, -quantity),
        "spend": _sum(is_purchase, quantity * cents),
        "concession": _sum(kind == "offer_redeem", conceded),
        "stars": _sum(kind == "review", F.col("rating").cast("bigint")),
        **{part: F.count_if(is_shop & (hour >= start) & (hour < end)) for part, (start, end) in DAYPARTS.items()},
        **{f"redeems_{form}": F.count_if((kind == "offer_redeem") & (F.col("form") == form)) for form in FORMS},
        **{f"offer_views_{form}": F.count_if((kind == "offer_view") & (F.col("form") == form)) for form in FORMS},
        **_moments("viewed", kind == "view"),
        **_moments("bought", is_bought),
    }
    return {name: measure.alias(name) for name, measure in measures.items()}


def _moments(name: str, condition: Column) -> dict[str, Column]:
    relative = F.col("relative_price")
    return {
        f"{name}_priced": F.count(F.when(condition, relative)),
        f"{name}_relative": _sum(condition, F.round(relative * MILLIONTHS).cast("bigint")),
        f"{name}_relative_squared": _sum(condition, F.round(relative * relative * MILLIONTHS).cast("bigint")),
    }


def _sum(condition: Column, value: Column) -> Column:
    return F.coalesce(F.sum(F.when(condition, value)), F.lit(0))
