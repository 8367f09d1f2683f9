"""What was known about a user, and about a user and a promotion, at the moment of a decision: only the past of that moment.

A *moment* is a row with user_id and `at` (timestamp); a *pair* is a moment with a promotion's columns.
"""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.offers import forms

MESSAGE_DAYS = 30
_WEIGHT = {"view": 1, "cart": 4, "purchase": 10}
_PRIOR_ORDERS = 2.0
_PRIOR_INTEREST = 5.0


def per_user(moments: DataFrame, log: DataFrame, days: int) -> DataFrame:
    """One row per moment (user_id, at): what the user did on the `days` before that day, counts and money (double); 0 where nothing.

    count_orders are days with a purchase. days_since_visit and days_since_order are `days` + 1 where there was none. known_days is how
    many of those days the log covers at all: the same counts mean more where it has only begun.
    """
    keys = moments.select("user_id", "at").distinct()
    ago = F.date_diff(F.to_date("at"), "day")
    past = _by_day(log).join(keys, "user_id").where((ago > 0) & (ago <= days))
    visited, bought = F.col("_visits") > 0, F.col("_purchases") > 0
    counts = past.groupBy("user_id", "at").agg(
        F.sum("_views").alias("count_views"),
        F.sum("_carts").alias("count_carts"),
        F.count(F.when(visited, 1)).alias("count_days"),
        F.count(F.when(bought, 1)).alias("count_orders"),
        F.sum("_revenue").cast("double").alias("past_spend"),
        F.sum("_margin").cast("double").alias("past_margin"),
        F.min(F.when(visited, ago)).cast("double").alias("days_since_visit"),
        F.min(F.when(bought, ago)).cast("double").alias("days_since_order"),
        F.sum(F.when(ago <= MESSAGE_DAYS, F.col("_messages"))).alias("count_messages"),
        F.sum("_redemptions").alias("count_redeemed"),
        F.sum("_interest").cast("double").alias("interest"),
    )
    begun = _begun(log)
    known = F.least(F.greatest(F.date_diff(F.to_date("at"), "_begun"), F.lit(1)), F.lit(days)).cast("double")
    never = {"days_since_visit": days + 1.0, "days_since_order": days + 1.0}
    zero = {name: 0 for name in counts.columns if name not in ("user_id", "at", *never)}
    return (
        keys.join(counts, ["user_id", "at"], "left")
        .fillna({**zero, **never})
        .crossJoin(F.broadcast(begun))
        .withColumn("known_days", F.coalesce(known, F.lit(1.0)))
        .drop("_begun")
    )


def first_day(log: DataFrame) -> date | None:
    """The first day the log says anything about; None where it is empty."""
    found = _begun(log).first()
    return None if found is None else found["_begun"]


def _begun(log: DataFrame) -> DataFrame:
    """One row: the first day with an event. Messages are of the ledgers, which may be older than the log."""
    return log.where(F.col("event_type") != "message").agg(F.to_date(F.min("occurred_at")).alias("_begun"))


def _by_day(log: DataFrame) -> DataFrame:
    """One row per user and day with anything in the log: a tenth of the events, and all that any moment needs."""
    kind = F.col("event_type")
    is_visit = kind.isin("view", "cart", "purchase")
    counted = {"_views": kind == "view", "_carts": (kind == "cart") & ~_is_removal(), "_visits": is_visit, "_purchases": kind == "purchase"}
    counted |= {"_messages": kind == "message", "_redemptions": kind == "offer_redeem"}
    return log.groupBy("user_id", F.to_date("occurred_at").alias("day")).agg(
        *(F.count(F.when(condition, 1)).alias(name) for name, condition in counted.items()),
        F.sum("revenue").alias("_revenue"),
        F.sum("margin").alias("_margin"),
        F.sum(_weight()).alias("_interest"),
    )


def scopes(promotions: DataFrame, items: DataFrame) -> DataFrame:
    """One row per (promotion, item in its scope), for promotions with a narrower scope than the whole shop."""
    is_narrow = F.col("scope_category").isNotNull() | F.col("scope_brand").isNotNull() | F.col("scope_item_ids").isNotNull()
    narrow = promotions.where(is_narrow).select("promotion_id", "scope_category", "scope_brand", "scope_item_ids")
    belongs = forms.in_scope(F.col("category"), F.col("brand"), F.col("item_id"))
    return (
        items.select("item_id", "category", "brand", "price").join(F.broadcast(narrow), belongs).select("promotion_id", "item_id", "price")
    )


def per_promotion(promotions: DataFrame, items: DataFrame) -> DataFrame:
    """`promotions` and what their scope is: `breadth`, its share of the shop's items, and `scope_price`, its mean price, money."""
    shop = items.agg(F.count("*").alias("_items"), F.avg(F.col("price").cast("double")).alias("_shop_price"))
    narrow = scopes(promotions, items).groupBy("promotion_id")
    found = narrow.agg(F.count("*").alias("_in_scope"), F.avg(F.col("price").cast("double")).alias("_scope_price"))
    is_narrow = F.col("scope_category").isNotNull() | F.col("scope_brand").isNotNull() | F.col("scope_item_ids").isNotNull()
    return (
        promotions.join(F.broadcast(found), "promotion_id", "left")
        .crossJoin(F.broadcast(shop))
        .withColumn("breadth", F.when(is_narrow, F.coalesce(F.col("_in_scope") / F.col("_items"), F.lit(0.0))).otherwise(1.0))
        .withColumn("scope_price", F.coalesce("_scope_price", "_shop_price", F.lit(1.0)))
        .drop("_items", "_shop_price", "_in_scope", "_scope_price")
    )


def per_pair(pairs: DataFrame, moments: DataFrame, users: DataFrame, log: DataFrame, scopes: DataFrame, days: int) -> DataFrame:
    """`pairs` (user_id, at, promotion_id, breadth, ...), the columns of `users` (per moment) and `scope_share`.

    scope_share is the part of the user's interest (views, carts, purchases, weighted) that lies in the promotion's scope, drawn
    towards the scope's breadth where the user did little: 1 for the whole shop. `moments` are those of the pairs: with promotion_id
    where a moment has one promotion (cheaper), without where every promotion of `scopes` is asked about.
    """
    shared: list[str] = ["user_id", "promotion_id"] if "promotion_id" in moments.columns else ["user_id"]
    ago = F.date_diff(F.to_date("at"), F.to_date("occurred_at"))
    in_scope = (
        log.where(F.col("event_type").isin(*_WEIGHT))
        .select("user_id", "item_id", "occurred_at", _weight().alias("_points"))
        .join(scopes.select("promotion_id", "item_id"), "item_id")
        .join(moments, shared)
        .where((ago > 0) & (ago <= days))
        .groupBy("user_id", "at", "promotion_id")
        .agg(F.sum("_points").alias("_in_scope"))
    )
    share = (F.coalesce("_in_scope", F.lit(0)) + _PRIOR_INTEREST * F.col("breadth")) / (F.col("interest") + _PRIOR_INTEREST)
    return (
        pairs.join(users, ["user_id", "at"])
        .join(in_scope, ["user_id", "at", "promotion_id"], "left")
        .withColumn("scope_share", F.when(F.col("breadth") == 1, 1.0).otherwise(F.least(share, F.lit(1.0))))
        .drop("_in_scope")
    )


def norms(log: DataFrame, users: DataFrame) -> DataFrame:
    """One row: the shop's mean order (money), margin rate, and margin per user and day, over all its log. Scales, nothing more.

    Where the log does not say what was one order, it is all that a user bought on a day.
    """
    order = F.coalesce("order_id", F.concat_ws("|", "user_id", F.to_date("occurred_at").cast("string")))
    bought = log.where(F.col("event_type") == "purchase")
    sums = bought.agg(
        *(F.coalesce(F.sum(name).cast("double"), F.lit(0.0)).alias(f"_{name}") for name in ("revenue", "margin")),
        F.count_distinct(order).cast("double").alias("_orders"),
        (F.date_diff(F.max(F.to_date("occurred_at")), F.min(F.to_date("occurred_at"))) + 1).alias("_days"),
    )
    rate = F.coalesce(F.try_divide("_margin", "_revenue"), F.lit(0.3))
    daily = F.coalesce(F.try_divide(F.col("_margin"), F.col("_users") * F.col("_days")), F.lit(0.0))
    found = {
        "norm_order": F.greatest(F.coalesce(F.try_divide("_revenue", "_orders"), F.lit(1.0)), F.lit(0.01)),
        "norm_margin_rate": F.least(F.greatest(rate, F.lit(0.01)), F.lit(0.99)),
        "norm_daily_margin": F.greatest(daily, F.lit(0.0)),
    }
    return sums.crossJoin(users.agg(F.count("*").alias("_users"))).select(*(value.alias(name) for name, value in found.items()))


def typical_order(norm_order: Column) -> Column:
    """What the user spends per order, money, drawn towards the shop's mean order where there were few."""
    return (F.greatest(F.col("past_spend"), F.lit(0.0)) + _PRIOR_ORDERS * norm_order) / (F.col("count_orders") + _PRIOR_ORDERS)


def _weight() -> Column:
    weight = F.lit(0)
    for kind, points in _WEIGHT.items():
        weight = F.when(F.col("event_type") == kind, points).otherwise(weight)
    return F.when(_is_removal(), 0).otherwise(weight)


def _is_removal() -> Column:
    """Whether the event took something out of the cart."""
    return (F.col("event_type") == "cart") & (F.coalesce("quantity", F.lit(1)) <= 0)
