"""A shop small enough to reason about, with one randomised campaign and a known effect, as rows of the real tables.

Every user views items of both categories, half of them mostly `tea`. In the campaign (valid days 30 to 44, half of the users sent,
half withheld, at random) each user is assigned `tea-10` (a 20 % discount on tea). Everybody buys 10.00 (margin 4.00) with
probability BUYS in the window; a sent tea lover redeems with probability REDEEMS, spending 20.00 more (margin 8.00, concession 4.00).
True incremental profit: 4.00 * REDEEMS for lovers of tea, 0 for others.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession

import builders
from promoloop import tables
from promoloop.settings import Settings

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
START, END = FIRST + timedelta(days=30), FIRST + timedelta(days=44)
AS_OF = date(2026, 3, 2)
BUYS, REDEEMS = 0.3, 0.4
PROPENSITY = {True: 0.5, False: 0.5}


@dataclass(frozen=True)
class Tables:
    users: DataFrame
    items: DataFrame
    promotions: DataFrame
    events: DataFrame
    past_offers: DataFrame
    profiles: DataFrame


def build(spark: SparkSession, users: int = 300, seed: int = 1) -> Tables:
    rng = np.random.default_rng(seed)
    people, events, offers = [], [], []
    for number in range(users):
        user, loves_tea, is_sent = f"u{number:04d}", number % 2 == 0, bool(rng.random() < 0.5)
        people.append({"user_id": user, "channels": ["email"], "has_consent": True, "region": "north"})
        for day in (1, 9, 17, 25, 50):
            item = "tea-1" if loves_tea or day == 9 else "mug-1"
            events.append(_event(user, "view", FIRST + timedelta(days=day, hours=3), item_id=item))
        if rng.random() < BUYS:
            events += _order(user, START + timedelta(days=2), "mug-1", f"o-{user}-own")
        if is_sent and loves_tea and rng.random() < REDEEMS:
            order = f"o-{user}-offer"
            at = START + timedelta(days=3)
            events += [row for n in range(2) for row in _order(user, at, "tea-1", order, n)]
            redeem = {"promotion_id": "tea-10", "offer_id": f"past-{user}", "order_id": order, "concession": Decimal("4.00")}
            events.append(_event(user, "offer_redeem", at, **redeem))
        offers.append(_offer(user, is_sent))
    return Tables(
        users=builders.rows(spark, tables.USERS, *people),
        items=builders.rows(spark, tables.ITEMS, _item("tea-1", "tea"), _item("mug-1", "mug")),
        promotions=builders.rows(spark, tables.PROMOTIONS, *promotions()),
        events=builders.rows(spark, tables.EVENTS, *events),
        past_offers=builders.rows(spark, tables.PAST_OFFERS, *offers),
        profiles=builders.rows(spark, tables.USER_PROFILES, *(_profile(number) for number in range(users))),
    )


def store(shop: Tables, settings: Settings) -> None:
    """All of it as tables in the places of `settings`, in its run."""
    for rows, table in (
        (shop.users, tables.USERS),
        (shop.items, tables.ITEMS),
        (shop.promotions, tables.PROMOTIONS),
        (shop.events, tables.EVENTS),
        (shop.past_offers, tables.PAST_OFFERS),
    ):
        tables.merge(rows, settings, table)
    tables.replace_day(shop.profiles, settings, tables.USER_PROFILES, AS_OF)


def promotions() -> list[dict[str, Any]]:
    """The past one, and two open on AS_OF: the same again, and a gift over a threshold."""
    later = {"starts_at": datetime(2026, 3, 1, tzinfo=UTC), "ends_at": datetime(2026, 3, 20, tzinfo=UTC)}
    tea = {"form": "discount", "scope_category": "tea", "discount_rate": 0.2}
    gift = {"form": "gift", "threshold": Decimal("15.00"), "gift_unit_cost": Decimal("2.00"), "gift_item_id": "mug-1"}
    return [
        {"promotion_id": "tea-10", "starts_at": START, "ends_at": END, **tea},
        {"promotion_id": "tea-20", "budget": Decimal("200.00"), **later, **tea},
        {"promotion_id": "mug-gift", "inventory": 40, **later, **gift},
    ]


def _profile(number: int) -> dict[str, Any]:
    return {"user_id": f"u{number:04d}", "as_of_on": AS_OF, "segment": "tea" if number % 2 == 0 else "other"}


def _item(item: str, category: str) -> dict[str, Any]:
    return {"item_id": item, "category": category, "brand": "b", "price": Decimal("10.00"), "unit_cost": Decimal("6.00")}


def _offer(user: str, is_sent: bool) -> dict[str, Any]:
    arm = "treatment" if is_sent else "control"
    window = {"valid_from_at": START, "valid_until_at": END, "issued_at": START}
    ids = {"offer_id": f"past-{user}", "run_id": "campaign-1", "user_id": user, "promotion_id": "tea-10"}
    return {**ids, "arm": arm, "is_sent": is_sent, "propensity": PROPENSITY[is_sent], **window}


def _order(user: str, at: datetime, item: str, order: str, line: int = 0) -> list[dict[str, Any]]:
    bought = {"item_id": item, "order_id": order, "price": Decimal("10.00"), "quantity": 1}
    return [_event(user, "purchase", at + timedelta(seconds=line), **bought)]


def _event(user: str, kind: str, at: datetime, **stated: Any) -> dict[str, Any]:
    named = "-".join(str(part) for part in (user, kind, at.isoformat(), stated.get("item_id")))
    return {"event_id": named, "event_type": kind, "user_id": user, "occurred_at": at, "occurred_on": at.date(), **stated}
