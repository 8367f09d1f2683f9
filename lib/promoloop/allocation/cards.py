"""Reason cards: what each promotion is worth for one user once all it uses is paid for at the plan's prices.

    reduced value[p] = value[p] - sum over resources k of price[k] * a[k, p]

The user gets the promotion of the largest reduced value, nothing (0) among the choices; the few that a whole plan could not serve so
are settled otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promoloop.allocation.problem import Problem
from promoloop.errors import UserError


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


def cards(problem: Problem, prices: Mapping[str, float], offered: Sequence[tuple[str, float, float]], cell: int = 0) -> list[Card]:
    """A card for each (promotion_id, value, cost) that one user of `cell` may get, the best first.

    `prices` by resource. Raises UserError where the plan they come from had other resources than `problem`.
    """
    names = {resource.name for resource in problem.resources}
    if names != set(prices):
        odd = sorted(names ^ set(prices))
        raise UserError(f"the plan was made with other limits than the settings now state: {', '.join(odd[:3])}")
    made = []
    for promotion_id, value, cost in offered:
        column = [cell * len(problem.promotions) + problem.promotions.index(promotion_id)]
        use = (problem.cost_form[:, column] * cost + problem.count_form[:, column]).toarray().ravel()
        charged = {r.name: float(prices[r.name] * u) for r, u in zip(problem.resources, use, strict=True) if prices[r.name] * u != 0}
        made.append(Card(promotion_id, value, cost, charged))
    return sorted(made, key=lambda card: (-card.reduced_value, card.promotion_id))
