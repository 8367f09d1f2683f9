"""Reason cards: what each promotion is worth for one user once all it uses is paid for at the plan's prices.

    reduced value[p] = value[p] - sum over resources k of price[k] * a[k, p]

The user gets the promotion of the largest reduced value, nothing (0) among the choices; the few that a whole plan could not serve so
are settled otherwise. Where cadence leaves a user fewer offers than others have, each offer is charged what the first one beyond them
would be worth (the shadow price of the user's own limit), and a form at rest all that it would be worth.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Card:
    """One promotion for one user: its value, expected cost (money), what each scarce resource charges for it, and what cadence does."""

    promotion_id: str
    value: float
    cost: float
    charges: Mapping[str, float]
    cadence: float = 0.0

    @property
    def reduced_value(self) -> float:
        """Value less what resources charge: that of the plan's table."""
        return self.value - sum(self.charges.values())

    @property
    def left(self) -> float:
        """Reduced value less what cadence charges."""
        return self.reduced_value - self.cadence


def cell_of(described: Sequence[Mapping[str, Any]], user: Mapping[str, Any]) -> str:
    """The name of the user's cell in the plan that `described` (its rows of allocation_resources) tells of."""
    kinds = next((row["kinds"] for row in described if row["resource"] == "plan"), None) or []
    return cell_name([user[kind] for kind in kinds]) or "all"


def cell_name(kinds: Sequence[Any]) -> str:
    """What a kind of user is called: segment, region and channel, those that limits look at."""
    return "/".join(map(str, kinds))


def cards(described: Sequence[Mapping[str, Any]], offered: Sequence[tuple[str, float, float]], cell: str = "all") -> list[Card]:
    """A card for each (promotion_id, value, cost) that one user of `cell` may get, the best first."""
    made = []
    for promotion_id, value, cost in offered:
        charged = {}
        for row in described:
            weight = (row["by_promotion"] or {}).get(promotion_id, 0.0) * (1.0 if row["by_cell"] is None else row["by_cell"].get(cell, 0.0))
            use = weight * (cost if row["quantity"] == "cost" else 1.0) * (-1.0 if row["is_floor"] else 1.0)
            if row["resource"] != "plan" and use * row["shadow_price"] != 0:
                charged[row["resource"]] = use * row["shadow_price"]
        made.append(Card(promotion_id, value, cost, charged))
    return sorted(made, key=lambda card: (-card.reduced_value, card.promotion_id))


def with_cadence(made: Sequence[Card], group_of: Mapping[str, int], most: int | None, resting: Collection[str]) -> list[Card]:
    """The cards of a user whom cadence leaves `most` offers (None: as many as anybody) and no promotion of `resting`, the best first.

    `group_of`: the exclusive group of each promotion.
    """
    best: dict[int, float] = {}
    for card in made:
        if card.promotion_id not in resting:
            group = group_of[card.promotion_id]
            best[group] = max(best.get(group, 0.0), card.reduced_value)
    ranked = sorted(best.values(), reverse=True)
    price = ranked[most] if most is not None and most < len(ranked) else 0.0
    charged = [replace(c, cadence=max(c.reduced_value, 0.0) if c.promotion_id in resting else price) for c in made]
    return sorted(charged, key=lambda card: (-card.left, -card.reduced_value, card.promotion_id))
