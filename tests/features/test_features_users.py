"""Features of users: right numbers on a small log, and nothing from the future."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from behaviour_builder import Shop, at, busy_shop
from builders import rows
from promoloop import features
from promoloop.tables import EVENTS, ITEM_FEATURES, ITEMS, PROMOTIONS, USER_FEATURES, USERS, enforce

AS_OF = date(2026, 3, 2)  # day 60


@pytest.fixture(scope="module")
def shop(spark: SparkSession) -> Shop:
    built = busy_shop(spark, users=60)
    return Shop(built.users, built.items, built.promotions, built.events.localCheckpoint())


def described(shop: Shop, events: DataFrame, *days: date) -> DataFrame:
    return features.per_user(events, shop.users, shop.items, shop.promotions, days or [AS_OF], 365, 20)


def texts(rows: DataFrame) -> list[str]:
    """Every row as text, sorted: quick to compare, whatever the order."""
    return sorted(map(str, rows.collect()))


def one_user(spark: SparkSession, *events: dict[str, Any], as_of: date = AS_OF, lookback_days: int = 365) -> Row:
    """Features of user `ann`, who joined on day 10, from `events` (each: event_type, day and what else matters)."""
    log = []
    for number, event in enumerate(events):
        moment = at(event.pop("day"), event.pop("hour", 12))
        log.append({"event_id": f"e{number}", "user_id": "ann", "occurred_at": moment, "occurred_on": moment.date(), **event})
    users = rows(spark, USERS, {"user_id": "ann", "joined_on": date(2026, 1, 11)})
    items = rows(
        spark,
        ITEMS,
        {"item_id": "cheap", "category": "tea", "brand": "Ash", "price": Decimal(5)},
        {"item_id": "middle", "category": "tea", "brand": "Elm", "price": Decimal(10)},
        {"item_id": "dear", "category": "tea", "brand": "Elm", "price": Decimal(20)},
        {"item_id": "lamp", "category": "lamps", "brand": "Elm", "price": Decimal(50)},
    )
    promotions = rows(spark, PROMOTIONS, {"promotion_id": "p1", "form": "gift"})
    found = features.per_user(rows(spark, EVENTS, *log), users, items, promotions, [as_of], lookback_days, 20)
    (row,) = enforce(found, USER_FEATURES).collect()
    return row


def test_numbers_of_one_user(spark: SparkSession) -> None:
    def line(kind: str, item: str, day: int, price: int, quantity: int | None = None) -> dict[str, Any]:
        return {
            "event_type": kind, "item_id": item, "day": day, "price": Decimal(price), "quantity": quantity,
            "session_id": f"s{day}", "order_id": f"o{day}" if kind == "purchase" else None,
        }  # fmt: skip

    row = one_user(
        spark,
        line("view", "cheap", 20, 5),
        line("view", "dear", 20, 20),
        line("cart", "cheap", 20, 5),
        line("cart", "dear", 20, 20, -1),
        line("purchase", "cheap", 20, 5, 2),
        line("purchase", "lamp", 20, 50, 1),
        line("purchase", "cheap", 26, 5, 1),
        {**line("purchase", "lamp", 28, 50, -1), "order_id": "o28"},
        line("view", "lamp", 58, 50),
        {"event_type": "offer_view", "promotion_id": "p1", "day": 25},
        {"event_type": "offer_redeem", "promotion_id": "p1", "day": 26, "order_id": "o26", "concession": Decimal("1.30")},
        {"event_type": "review", "item_id": "cheap", "rating": 4, "day": 27},
        line("view", "lamp", 60, 50),
    )
    expected = {
        "tenure_days": 50, "observed_days": 40, "count_views_7d": 1, "count_views_30d": 1, "count_views_90d": 3, "count_orders_90d": 2,
        "count_visits_90d": 4, "count_carts_90d": 1, "spend_30d": 0.0, "spend_90d": 15.0, "count_units": 4, "days_since_visit": 2,
        "days_since_order": 34, "days_since_cart": 40, "days_between_orders": 6.0, "mean_basket_value": 7.5, "orders_per_visit": 0.5,
        "count_redeems_gift": 1, "count_redeems_discount": 0, "count_offer_views_gift": 1, "redeem_rate": 1.0, "promoted_order_share": 0.5,
        "mean_rating": 4.0, "returned_share": 0.25, "count_categories": 2, "count_brands": 2, "top_category": "tea", "top_brand": "Ash",
        "afternoon_share": 1.0, "days_since_first_event": 40,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert row["relative_price_bought"] == pytest.approx((2 * -0.693147 + 0) / 3, abs=1e-5), "two cheap lines at half the median, one lamp"
    assert row["conceded_share"] == pytest.approx(1.3 / 15)
    tea = row["categories"][0]
    assert (tea["name"], tea["views"], tea["carts"], tea["units"], tea["days_since"]) == ("tea", 2, 1, 3, 33), "a review touches, too"
    assert tea["interest"] == pytest.approx((2 + 6 + 33) / (2 + 6 + 33 + 1 + 11))


def test_a_user_without_behaviour_has_counts_of_zero_and_no_means(spark: SparkSession) -> None:
    row = one_user(spark)
    assert (row["count_views_90d"], row["spend_90d"], row["count_brands"], row["brands"], row["tenure_days"]) == (0, 0.0, 0, [], 50)
    assert row["days_since_visit"] is row["mean_rating"] is row["top_brand"] is row["days_between_orders_deviation"] is None
    assert row["promoted_order_share"] is row["conceded_share"] is row["redeem_rate"] is row["relative_price_variance"] is None


def test_beyond_the_lookback_only_the_first_event_counts(spark: SparkSession) -> None:
    orders = ({"event_type": "purchase", "item_id": "lamp", "quantity": 1, "order_id": f"o{day}", "day": day} for day in (20, 46, 50))
    view = {"event_type": "view", "item_id": "lamp", "price": Decimal(35), "day": 50}
    row = one_user(spark, *orders, view, lookback_days=35)
    assert (row["count_orders_90d"], row["days_since_first_event"]) == (2, 40)
    assert row["days_between_orders"] == 4, "the first order is too far back for the gap that follows it, too"
    assert row["weekend_share"] == 0, "a Monday and a Friday"
    assert row["relative_price_variance"] == 0, "of one price, and not less, though its square is rounded"


def test_nothing_from_the_future(shop: Shop) -> None:
    early = date(2026, 2, 1)
    known_then = shop.events.where(F.col("occurred_at") < F.lit("2026-02-01").cast("timestamp"))
    then = described(shop, known_then, early)
    assert known_then.select("user_id").distinct().count() > 20
    of_both_days = described(shop, shop.events, early, AS_OF)
    assert texts(of_both_days.where(F.col("as_of_on") == F.lit(early))) == texts(then)


def test_a_user_who_has_not_joined_yet_is_not_there(shop: Shop) -> None:
    known = F.when(F.col("user_id") != "u0005", F.col("joined_on"))  # of u0005 nobody knows when
    joined = F.when(F.col("user_id") == "u0000", F.lit("2026-03-02").cast("date")).otherwise(known)
    late = Shop(shop.users.withColumn("joined_on", joined), shop.items, shop.promotions, shop.events)
    assert described(late, shop.events).where("user_id = 'u0000'").isEmpty()
    found = described(late, shop.events, date(2026, 3, 3)).where("user_id IN ('u0000', 'u0005')")
    assert {row["user_id"]: row["tenure_days"] for row in found.collect()} == {"u0000": 1, "u0005": None}


def test_interest_is_a_share_and_zero_elsewhere(shop: Shop) -> None:
    from_user = described(shop, shop.events).where("count_brands > 0")
    interest = sum(features.interest(F.col("brands"), F.lit(brand)) for brand in ("Ash", "Birch", "Cedar", "Elm", "Fir"))
    nothing = features.interest(F.col("brands"), F.lit("Yew"))
    low, high, none = from_user.agg(F.min(interest), F.max(interest), F.max(nothing)).first()
    assert (low, high, none) == (pytest.approx(1), pytest.approx(1), 0)


def test_items_are_described_by_their_past(shop: Shop) -> None:
    taken_out = shop.events.where("event_type = 'cart'").withColumn("quantity", F.lit(-1))  # counts nothing
    told = F.when(F.col("occurred_on") != F.lit("2026-01-20").cast("date"), F.col("price"))  # else the item's counts, which is the same
    before = features.per_item(shop.events.unionByName(taken_out).withColumn("price", told), shop.items, date(2026, 2, 1), 365)
    known_then = shop.events.where(F.col("occurred_at") < F.lit("2026-02-01").cast("timestamp"))
    assert texts(before) == texts(features.per_item(known_then, shop.items, date(2026, 2, 1), 365))
    found = {row["item_id"]: row for row in enforce(before, ITEM_FEATURES).collect()}
    bought = known_then.where("event_type = 'purchase' and item_id = 'i07'").count()
    assert (len(found), found["i07"]["count_purchases_90d"], found["i07"]["margin_rate"]) == (30, bought, 0.5)
    assert not known_then.where("event_type = 'purchase' AND occurred_on = '2026-01-20'").isEmpty()
    assert found["i07"]["revenue_90d"] == 5 * bought > 0
    tea = sorted((row for row in found.values() if row["category"] == "tea"), key=lambda row: row["popularity"])
    assert [row["count_views_90d"] for row in tea] == sorted(row["count_views_90d"] for row in tea)
    assert (tea[0]["popularity"], tea[-1]["popularity"]) == (0, 1)


def test_outcomes_begin_with_the_day_and_end_with_the_horizon(spark: SparkSession) -> None:
    def bought(event_id: str, day: int, item: str, hour: int = 12) -> dict[str, Any]:
        moment = at(day, hour)
        kind = {"event_id": event_id, "event_type": "purchase", "user_id": "ann", "item_id": item, "quantity": 1, "price": Decimal(5)}
        return {**kind, "occurred_at": moment, "occurred_on": moment.date()}

    items = rows(
        spark,
        ITEMS,
        {"item_id": "a", "category": "tea", "brand": "Ash", "price": Decimal(5)},
        {"item_id": "b", "category": "soap", "brand": None, "price": Decimal(5)},
    )
    log = rows(spark, EVENTS, bought("1", 59, "b"), bought("2", 60, "a", 9), bought("3", 60, "b", 8), bought("4", 74, "a"))
    days = [AS_OF, date(2026, 1, 1)]
    (row,) = features.per_user_outcome(log, items, days, 14).collect()
    assert (row["as_of_on"], row["next_brand"], row["next_category"], row["count_bought"]) == (AS_OF, "Ash", "soap", 2)
