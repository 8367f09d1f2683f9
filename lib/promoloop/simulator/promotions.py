"""The shop's own promotions: the active set of a day, and past campaigns with randomised arms. Small, drawn on the driver."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promoloop.simulator.catalogue import Catalogue
from promoloop.simulator.draws import Floats, uniforms
from promoloop.simulator.law import CATEGORIES, FORMS, Law

_NAMES = {
    "spend_threshold": "Save {amount:g} from {threshold:g}",
    "discount": "{rate:.0%} off",
    "gift": "A gift for you",
    "flash_sale": "Flash: {rate:.0%} off",
}


@dataclass(frozen=True)
class Promotion:
    """One promotion; days are counted from 1970-01-01, money as in the shop."""

    promotion_id: str
    name: str
    form: str
    starts: int
    ends: int
    category: int | None = None
    brand: int | None = None
    items: tuple[int, ...] | None = None
    threshold: float = 0.0
    discount_rate: float = 0.0
    discount_amount: float = 0.0
    gift_item: int | None = None
    gift_unit_cost: float = 0.0
    budget: float = 0.0
    inventory: int | None = None

    @property
    def is_scoped(self) -> bool:
        """Whether it is about some of the items only."""
        return self.category is not None or self.brand is not None or self.items is not None

    def covers(self, catalogue: Catalogue) -> NDArray[np.bool_]:
        """Which items are in its scope."""
        inside = np.ones(catalogue.items, dtype=bool)
        if self.category is not None:
            inside &= catalogue.category == self.category
        if self.brand is not None:
            inside &= catalogue.brand == self.brand
        if self.items is not None:
            inside &= np.isin(np.arange(catalogue.items), self.items)
        return inside


@dataclass(frozen=True)
class Campaign:
    """A past campaign: each consenting user gets one of its promotions at random, sent or withheld."""

    campaign_id: str
    starts: int
    promotions: tuple[Promotion, ...]


def active(seed: int, day: int, days: int, count: int, users: int, catalogue: Catalogue, law: Law, label: str) -> tuple[Promotion, ...]:
    """`count` promotions for the `days` days from `day`, all four forms in turn; ids begin with `label`."""
    return tuple(_draw(seed, day, days, number, users, catalogue, law, f"{label}-{number + 1:02d}") for number in range(count))


def past(
    seed: int, opening: int, days: int, season_days: int, count: int, users: int, catalogue: Catalogue, law: Law, dates: dict[int, str]
) -> tuple[Campaign, ...]:
    """Campaigns that fill the whole seasons before the end of the history, at least `law.campaigns_least` of them.

    `dates` maps a day to its ISO date, for ids.
    """
    seasons = max(days // season_days, 1)
    parts = -(-law.campaigns_least // seasons)
    length = max(min(season_days, days) // parts, 1)
    campaigns = []
    for season in range(seasons):
        for part in range(parts):
            start = opening + days - (seasons - season) * season_days + part * length
            if start < opening:
                continue
            offered = active(seed, start, length, max(len(FORMS), count // 2), users, catalogue, law, f"C{dates[start]}")
            campaigns.append(Campaign(f"campaign-{dates[start]}", start, offered))
    return tuple(campaigns)


def _draw(seed: int, day: int, days: int, number: int, users: int, catalogue: Catalogue, law: Law, promotion_id: str) -> Promotion:
    u: Floats = uniforms(seed, "promotion", day, number, np.arange(12))
    form = FORMS[number % len(FORMS)]
    category = brand = items = None
    # every second promotion is shop-wide; the others prefer what sells
    where = (2 * (number % 2) + number // len(FORMS) + u[0]) % 4
    share = np.exp(catalogue.log_popularity) * catalogue.price**0.5
    if where < 0.9:
        category = _prefer(np.bincount(catalogue.category, weights=share), u[1])
    elif where < 1.5:
        brand = _prefer(np.bincount(catalogue.brand, weights=share, minlength=law.brands), u[1])
    elif where < 2.0:
        members = np.flatnonzero(catalogue.category == _prefer(np.bincount(catalogue.category, weights=share), u[1]))
        best = members[np.argsort(-catalogue.log_popularity[members])][: max(len(members) // 3, 5)]
        items = tuple(int(item) for item in np.sort(best))
    is_wide = category is None and brand is None and items is None
    level = (
        float(np.exp(np.mean(np.log(catalogue.price))))
        if is_wide
        else float(np.median(catalogue.price[Promotion("", "", form, 0, 1, category, brand, items).covers(catalogue)]))
    )
    rate = round(float(0.06 + 0.13 * u[2]) * (1.25 if form == "flash_sale" else 1.0), 2)
    threshold = amount = cost = 0.0
    gift_item = None
    inventory = None
    if form == "spend_threshold":
        threshold = max(float(np.round(level * (1.3 + 1.5 * u[3]) * (1.0 if is_wide else 0.6))), 10.0)
        amount = max(float(np.round(threshold * (0.08 + 0.10 * u[4]), 1)), 1.0)
    if form == "gift":
        threshold = max(float(np.round(level * (1.0 + 1.2 * u[3]) * (1.0 if is_wide else 0.6))), 8.0)
        wanted = threshold * (0.06 + 0.10 * u[4])
        gift_item = int(np.argmin(np.abs(catalogue.unit_cost - wanted)))
        cost = float(catalogue.unit_cost[gift_item])
    if form in ("gift", "flash_sale"):
        inventory = max(int(users * (0.04 + 0.10 * u[5])), 5)
    length = max(days // 3, 2) if form == "flash_sale" else days
    name = _NAMES[form].format(amount=amount, threshold=threshold, rate=rate)
    place = (
        ""
        if is_wide
        else f" on {CATEGORIES[category]}"
        if category is not None
        else f" on brand {brand}"
        if brand is not None
        else " on chosen items"
    )
    return Promotion(
        promotion_id=promotion_id,
        name=name + place,
        form=form,
        starts=day,
        ends=day + min(length, days),
        category=category,
        brand=brand,
        items=items,
        threshold=threshold,
        discount_rate=rate if form in ("discount", "flash_sale") else 0.0,
        discount_amount=amount,
        gift_item=gift_item,
        gift_unit_cost=cost,
        budget=max(float(np.round(users * (0.08 + 0.22 * u[6]) * (1.0 if is_wide else 0.3))), 20.0),
        inventory=inventory,
    )


def _prefer(weights: Any, uniform: float) -> int:
    """An index drawn in proportion to `weights`."""
    return int(np.searchsorted(np.cumsum(weights) / weights.sum(), uniform))
