"""Point-in-time features of users: what was known of each when the day `as_of` began, and nothing later."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.features.cutoffs import add_as_of
from promoloop.features.days import CENTS, DAYPARTS, FORMS, MILLIONTHS, add_item_facts, per_user_day
from promoloop.features.tastes import TASTE_TYPE, per_user_taste

WINDOWS = (7, 30, 90)
DEMOGRAPHICS = ("age_band", "gender", "region", "occupation", "income_band")
_COUNTED = ("views", "carts", "orders", "visits")


def per_user(
    events: DataFrame,
    users: DataFrame,
    items: DataFrame,
    promotions: DataFrame,
    days: Sequence[date],
    lookback_days: int,
    kept_tastes: int,
) -> DataFrame:
    """Features of every user on each of `days`: one row per user_id and as_of_on, users without behaviour included.

    Only events that occurred before as_of_on, at most `lookback_days` ago, are used; days_since_first_event alone looks further back.
    Counts are 0 where nothing happened; recencies, shares and means are null where there is nothing to take them of. A user who joined on
    as_of_on or later, and did nothing before, has no row.
    """
    past = events.where(F.col("occurred_on") < F.lit(max(days)).cast("date"))
    known = past.transform(add_item_facts, items)
    by_day = known.transform(per_user_day, promotions)
    behaviour = by_day.transform(add_as_of, days, lookback_days).groupBy("user_id", "as_of_on").agg(*_totals(lookback_days))
    categories = _named(per_user_taste(known, "category", days, lookback_days, kept_tastes), "category", "categories")
    brands = _named(per_user_taste(known, "brand", days, lookback_days, kept_tastes), "brand", "brands")
    key = ["user_id", "as_of_on"]
    everyone = _everyone(users, past, days)
    joined = everyone.join(behaviour, key, "left").join(categories, key, "left").join(brands, key, "left")
    opened = past.agg(F.min("occurred_on").alias("_opened_on"))
    return joined.crossJoin(F.broadcast(opened)).transform(_finish, lookback_days)


def _everyone(users: DataFrame, past: DataFrame, days: Sequence[date]) -> DataFrame:
    """Users known on each day: those who joined before it (or when, nobody knows), and those who did something before it.

    Adds days_since_first_event, null where there was none before the day.
    """
    cutoffs = F.explode(F.array(*(F.lit(day).cast("date") for day in days)))
    first_seen = past.groupBy("user_id").agg(F.min("occurred_on").alias("_seen_on"))
    people = users.select("user_id", "joined_on", *DEMOGRAPHICS)
    is_seen = F.col("_seen_on") < F.col("as_of_on")
    is_known = (F.col("joined_on") < F.col("as_of_on")) | F.col("joined_on").isNull() | is_seen
    known = people.join(first_seen, "user_id", "full").withColumn("as_of_on", cutoffs).where(is_known)
    return known.withColumn("days_since_first_event", F.when(is_seen, F.datediff("as_of_on", "_seen_on")))


def _totals(lookback_days: int) -> list[Column]:
    age = F.col("_age")
    gap = F.when(age + F.col("order_gap") <= lookback_days, F.col("order_gap"))  # the earlier order, too, is looked back to
    windowed = [F.sum(F.when(age <= w, F.col(name))).alias(f"count_{name}_{w}d") for name in _COUNTED for w in WINDOWS]
    windowed += [(F.sum(F.when(age <= w, F.col("spend"))) / CENTS).alias(f"spend_{w}d") for w in WINDOWS]
    recencies = {"visit": "visits", "cart": "carts", "order": "orders", "redeem": "redeems", "offer_view": "offer_views"}
    per_form = [F.sum(f"{what}_{form}").alias(f"count_{what}_{form}") for what in ("redeems", "offer_views") for form in FORMS]
    names = ("views", "carts", "orders", "visits", "units", "units_returned", "spend", "concession", "stars", "reviews", "redeems")
    whole = (*names, "offer_views", *DAYPARTS, *(f"{name}_{part}" for name in ("viewed", "bought") for part in _MOMENTS))
    return [
        *windowed,
        *(F.min(F.when(F.col(column) > 0, age)).alias(f"days_since_{name}") for name, column in recencies.items()),
        *per_form,
        *((F.sum(name) / _UNITS.get(name, 1)).alias(f"_{name}") for name in whole),
        F.count_if(age <= 30).alias("count_active_days_30d"),
        F.count_if(F.col("visits") > 0).alias("_visit_days"),
        F.max(F.when(F.col("visits") > 0, age)).alias("_first_visit"),
        F.count(gap).alias("_gaps"),
        F.sum(gap).alias("_gap"),
        F.sum(gap * gap).alias("_gap_squared"),
        F.sum(F.when(F.dayofweek("occurred_on").isin(1, 7), F.col("visits")).otherwise(0)).alias("_weekend_visits"),
    ]


_MOMENTS = ("priced", "relative", "relative_squared")
_UNITS = {
    **dict.fromkeys(("spend", "concession"), CENTS),
    **{f"{name}_{part}": MILLIONTHS for name in ("viewed", "bought") for part in ("relative", "relative_squared")},
}


def _finish(totals: DataFrame, lookback_days: int) -> DataFrame:
    since = F.datediff("as_of_on", F.greatest(F.coalesce("joined_on", "_opened_on"), F.coalesce("_opened_on", "joined_on")))
    seen = F.coalesce(F.greatest(since, F.col("days_since_first_event")), F.lit(0))
    parts = sum((F.col(f"_{part}") for part in DAYPARTS), F.lit(0.0))
    gap, spread = _mean("_gap", "_gaps"), _mean("_gap_squared", "_gaps") - _mean("_gap", "_gaps") ** 2
    variance = _mean("_viewed_relative_squared", "_viewed_priced") - _mean("_viewed_relative", "_viewed_priced") ** 2
    derived = {
        "tenure_days": _not_negative(F.datediff("as_of_on", "joined_on")),
        "observed_days": F.least(seen, F.lit(lookback_days)),
        "count_units": _count("_units"),
        "count_offer_views": _count("_offer_views"),
        "count_redeems": _count("_redeems"),
        "count_reviews": _count("_reviews"),
        "mean_rating": _mean("_stars", "_reviews"),
        "mean_basket_value": _mean("_spend", "_orders"),
        "mean_basket_units": _mean("_units", "_orders"),
        "orders_per_visit": _mean("_orders", "_visits"),
        "carts_per_view": _mean("_carts", "_views"),
        "orders_per_cart": _mean("_orders", "_carts"),
        "returned_share": _mean("_units_returned", "_units"),
        "relative_price_viewed": _mean("_viewed_relative", "_viewed_priced"),
        "relative_price_bought": _mean("_bought_relative", "_bought_priced"),
        "relative_price_variance": _not_negative(variance),
        "count_bought_priced": _count("_bought_priced"),
        "promoted_order_share": _share("_redeems", "_orders"),
        "conceded_share": _share("_concession", "_spend"),
        "redeem_rate": _share("_redeems", "_offer_views"),
        "days_between_orders": gap,
        "days_between_orders_deviation": F.sqrt(_not_negative(spread)),
        "days_between_visits": F.try_divide(F.col("_first_visit") - F.col("days_since_visit"), F.col("_visit_days") - 1).cast("double"),
        **{f"{part}_share": F.try_divide(F.col(f"_{part}"), parts) for part in DAYPARTS},
        "weekend_share": _mean("_weekend_visits", "_visits"),
        "count_categories": _count("count_categories"),
        "count_brands": _count("count_brands"),
        "categories": F.coalesce("categories", F.array().cast(TASTE_TYPE)),
        "brands": F.coalesce("brands", F.array().cast(TASTE_TYPE)),
    }
    counts = [n for n in totals.columns if n.startswith(("count_", "spend_")) and n not in derived]
    filled = {name: F.coalesce(name, F.lit(0.0 if name.startswith("spend_") else 0)) for name in counts}
    finished = totals.withColumns({**derived, **filled})
    return finished.drop("joined_on", *(name for name in finished.columns if name.startswith("_")))


def _mean(total: str, count: str) -> Column:
    return F.try_divide(F.col(total).cast("double"), F.col(count).cast("double"))


def _share(total: str, count: str) -> Column:
    share = _not_negative(_mean(total, count))
    return F.when(share > 1, 1.0).otherwise(share)


def _not_negative(value: Column) -> Column:
    return F.when(value < 0, 0).otherwise(value)  # null stays null, which F.greatest would take for 0


def _count(name: str) -> Column:
    return F.coalesce(F.col(name).cast("bigint"), F.lit(0))


def _named(tastes: DataFrame, one: str, many: str) -> DataFrame:
    return tastes.select(
        "user_id",
        "as_of_on",
        F.col("tastes").alias(many),
        F.col("count_tastes").alias(f"count_{many}"),
        F.col("entropy").alias(f"{one}_entropy"),
        F.col("top").alias(f"top_{one}"),
        F.col("top_share").alias(f"top_{one}_share"),
    )
