"""Reason cards: what each promotion is worth for one user once all it uses is paid for at the plan's prices.

    reduced value[p] = value[p] - sum over resources k of price[k] * a[k, p]

The user gets the promotion of the largest reduced value, nothing (0) among the choices; the few that a whole plan could not serve so
are settled otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Card:
    """One promotion for one user: its value, expected cost (money), and what each scarce resource charges for it."""

    promotion_id: str
    value: float
    cost: float
    charges: Mapping[str, float]

    @property
    def reduced_value(self) -> float:
        """Value less all charges."""
        return self.value - sum(self.charges.values())


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
