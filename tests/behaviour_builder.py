"""A small shop whose users behave by known causes, for rooms that learn: users, items, promotions, events."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
from pyspark.sql import DataFrame, SparkSession

from builders import rows
from promoloop import tables
from promoloop.settings import Settings
from promoloop.tables import EVENTS, ITEMS, PROMOTIONS, USERS

BRANDS = ("Ash", "Birch", "Cedar", "Elm", "Fir")
CATEGORIES = ("tea", "soap", "lamps")
FORMS = ("spend_threshold", "discount", "gift", "flash_sale")


@dataclass(frozen=True)
class Shop:
    users: DataFrame
    items: DataFrame
    promotions: DataFrame
    events: DataFrame


def at(day: int, hour: int = 12, first: date = date(2026, 1, 1)) -> datetime:
    """Noon (or `hour`) UTC of the day numbered `day`, 0 being the first of January 2026."""
    return datetime(first.year, first.month, first.day, hour, tzinfo=UTC) + timedelta(days=day)


def busy_shop(spark: SparkSession, users: int = 240, days: int = 60, seed: int = 1) -> Shop:
    """A shop in which activity, a favourite brand (bought four times of five) and a liking for cheap things are stable traits of a user.

    Every fifth user never does anything. Each active user is shown offers of all forms and redeems discounts alone.
    """
    draw = np.random.default_rng(seed)
    items = [(f"i{n:02d}", CATEGORIES[n % 3], BRANDS[n % 5], 5 + 3 * (n % 7)) for n in range(30)]
    events: list[dict[str, object]] = []

    def happen(kind: str, user: str, day: int, **more: object) -> None:
        moment = at(day, int(draw.integers(8, 22)))
        number = len(events)
        events.append(
            {"event_id": f"e{number:06d}", "event_type": kind, "user_id": user, "occurred_at": moment, "occurred_on": moment.date(), **more}
        )

    for n in range(users):
        user, activity = f"u{n:04d}", 0.0 if n % 5 == 0 else draw.gamma(1.0, 0.08)
        favourite, is_thrifty = BRANDS[int(draw.integers(5))], draw.random() < 0.5
        ranked = sorted(items, key=lambda item: item[3], reverse=not is_thrifty)
        for day in range(days):
            if draw.random() > 3 * activity:
                continue
            session = f"{user}-{day}"
            for _ in range(4):
                seen = items[int(draw.integers(30))]
                happen("view", user, day, session_id=session, item_id=seen[0], price=Decimal(seen[3]))
            if draw.random() < 0.35:
                liked = [item for item in ranked if item[2] == favourite]
                bought = liked[int(draw.integers(3))] if draw.random() < 0.8 else items[int(draw.integers(30))]
                line = {"session_id": session, "item_id": bought[0], "price": Decimal(bought[3]), "quantity": 1}
                happen("cart", user, day, **line)
                happen("purchase", user, day, order_id=session, **line)
                if draw.random() < 0.2:
                    happen("review", user, day, session_id=session, item_id=bought[0], rating=int(draw.integers(3, 6)))
        for form in FORMS if activity > 0 else ():
            for day in draw.choice(days, size=2, replace=False):
                happen("offer_view", user, int(day), promotion_id=f"p-{form}", offer_id=f"{user}-{form}-{day}")
                if form == "discount" and is_thrifty and draw.random() < 0.7:
                    more = {"order_id": f"{user}-{day}", "concession": Decimal(1)}
                    happen("offer_redeem", user, int(day), promotion_id=f"p-{form}", offer_id=f"{user}-{form}-{day}", **more)
    joined = date(2025, 6, 1)
    bands = ("18-24", "35-44", "65+")
    return Shop(
        users=rows(spark, USERS, *({"user_id": f"u{n:04d}", "age_band": bands[n % 3], "joined_on": joined} for n in range(users))),
        items=rows(
            spark,
            ITEMS,
            *({"item_id": i, "category": c, "brand": b, "price": Decimal(p), "unit_cost": Decimal(p) / 2} for i, c, b, p in items),
        ),
        promotions=rows(spark, PROMOTIONS, *({"promotion_id": f"p-{form}", "form": form} for form in FORMS)),
        events=rows(spark, EVENTS, *events),
    )


PROFILED_BY = ("build_features", "train_profiles", "score_profiles")
"""Jobs that make profiles of a stored shop, in order."""


def store(shop: Shop, settings: Settings) -> None:
    """All of it as tables in the places of `settings`, where there are none yet."""
    for table, of_table in ((EVENTS, shop.events), (USERS, shop.users), (ITEMS, shop.items), (PROMOTIONS, shop.promotions)):
        tables.merge(of_table, settings, table)
