"""Where designs are judged: what the allocation would make of one, on the sample, at the dual prices of the sample's problem.

At those prices every user takes what is best, near-ties in shares (dual); what a resource is then still overused by is taken off every
promotion that uses it, in proportion, so that a design is never praised for money it does not have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promoloop.allocation import dual
from promoloop.allocation.design.sampled import Sampled
from promoloop.allocation.limits import DISPARITY, problem_of, total_budget
from promoloop.allocation.pricing import Array, Block
from promoloop.allocation.problem import Floats, Problem
from promoloop.errors import UserError
from promoloop.offers.variants import Variant
from promoloop.settings.plan import AllocationSettings

_COOLEST, _HOTTEST = 2e-3, 0.1  # temperatures of the dual, typical values


@dataclass(frozen=True)
class Judged:
    """A design's plan, expected, for all users: money, and satisfaction (offers wanted and to the user's taste); parts by candidate."""

    profit: float
    satisfaction: float
    offers: Floats
    costs: Floats
    profits: Floats


@dataclass(frozen=True)
class Ground:
    """The sample, its problem (limits scaled down to it), the candidates' variants, and what a price may be."""

    sampled: Sampled
    problem: Problem
    candidates: tuple[Mapping[str, Any], ...]
    variants: tuple[Variant, ...]
    money: float  # the total budget, for all users, before the share kept for exploring
    open_share: float
    own_budget: Array
    start: Floats
    ceiling: Floats
    scale: float

    def judge(self, design: Sequence[int], budgets: Sequence[float | None]) -> Judged:
        """Expected outcome of running variant design[p] (-1: none) of each candidate, spending at most budgets[p] (None: no own limit).

        Budgets are money for all users, before the share kept for exploring.
        """
        chosen, given = np.array(design), self.sampled
        empty = chosen < 0
        value, cost = given.value[chosen], given.cost[chosen]
        value[empty], cost[empty] = -np.inf, 0.0
        right = self.problem.right.copy()
        own = np.array([self.money if money is None else min(money, self.money) for money in budgets])
        right[self.own_budget] = own * self.open_share / given.weight
        block = Block(-1, value, cost, given.cell)
        standing = dual.Sample(block, np.ones(block.users))
        prices = dual.solve(standing, self.problem, right, self.start, self.ceiling, _COOLEST * self.scale, _HOTTEST * self.scale)
        _, share = dual.shares(block, self.problem, prices, _COOLEST * self.scale)
        spent, count = (dual.by_cell(amount, given.cell, len(self.problem.cells)) for amount in (share * cost, share))
        kept = given.weight * self._kept(spent, count, right)
        profits, pleased = ((share * amount[chosen]).sum(1) * kept for amount in (given.profit, given.satisfaction))
        return Judged(float(profits.sum()), float(pleased.sum()), count.sum(0) * kept, spent.sum(0) * kept, profits)

    def _kept(self, spent: Floats, count: Floats, right: Floats) -> Floats:
        """The share of each promotion's offers that every ceiling leaves room for."""
        use = self.problem.use(spent, count)
        kept = np.ones(count.shape[1])
        for k, resource in enumerate(self.problem.resources):
            if not (resource.is_floor or resource.name.startswith(DISPARITY)) and use[k] > right[k]:
                kept = np.where(resource.by_promotion > 0, np.minimum(kept, max(right[k], 0.0) / use[k]), kept)
        return kept


def ground_of(
    sampled: Sampled, promotions: Sequence[Mapping[str, Any]], variants: Sequence[Variant], own: AllocationSettings, reserve: float
) -> Ground:
    """The ground for designs of `promotions` (rows of the table). Raises UserError where there is no total budget to share out."""
    candidates = tuple(sorted(promotions, key=lambda promotion: str(promotion["promotion_id"])))
    total = total_budget(candidates, own)
    if total is None:
        raise UserError("a design shares out a total budget, and there is none: set allocation.budget")
    limited = [{**promotion, "budget": total} for promotion in candidates]
    by_cell = np.bincount(sampled.cell, minlength=max(1, len(sampled.cells))).astype(np.float64)
    problem = problem_of(limited, own.model_copy(update={"budget": total}), reserve, sampled.cells, by_cell)
    scaled = problem.scaled(1 / sampled.weight)
    names = {resource.name: k for k, resource in enumerate(scaled.resources)}
    whole = Block(-1, sampled.value, sampled.cost, sampled.cell)
    return Ground(
        sampled=sampled,
        problem=scaled,
        candidates=candidates,
        variants=tuple(variants),
        money=total,
        open_share=1 - reserve,
        own_budget=np.array([names[f"budget:{promotion['promotion_id']}"] for promotion in candidates]),
        start=np.zeros(len(scaled.resources)),
        ceiling=dual.ceilings(whole, scaled),
        scale=dual.typical_value(whole),
    )
