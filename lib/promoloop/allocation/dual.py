"""Prices of a sample that fits the driver: Newton's method on the smoothed dual, the smoothing lowered step by step.

With temperature t a user takes promotion p with probability softmax(reduced value / t), 'nothing' among the choices; the dual
of that smoothed problem is differentiable, and its Hessian is the covariance of what users use, divided by t. At low t it is
the dual of the programme itself. (Nesterov 2005, smoothing; Bertsekas 1982, projected Newton.)
"""

from dataclasses import dataclass

import numpy as np

from promoloop.allocation import several
from promoloop.allocation.pricing import Array, Block
from promoloop.allocation.problem import Floats, Problem

_COOLING = 0.25
_STEPS = 40
_REACH = 20.0  # temperatures' worth of an offer


@dataclass(frozen=True)
class Smoothed:
    """The smoothed dual at some prices: its value, its gradient (right - use) and, where asked for, its Hessian."""

    value: float
    gradient: Floats
    hessian: Floats | None


@dataclass(frozen=True)
class Sample:
    """Users that stand for others: each counts `weight` times."""

    block: Block
    weight: Floats


def smoothed(sample: Sample, problem: Problem, right: Floats, prices: Floats, temperature: float, has_hessian: bool) -> Smoothed:
    """Evaluate the smoothed dual of the users of `sample` with right-hand sides `right`."""
    block, weight = sample.block, sample.weight.astype(sample.block.value.dtype)
    worth, share = shares(block, problem, prices, temperature)
    value = float(sample.weight @ worth + prices @ right)
    cells = len(problem.cells)
    count = by_cell(share * weight, block.cell, cells)
    cost = by_cell(share * block.cost * weight, block.cell, cells)
    gradient = right - problem.use(cost, count)
    return Smoothed(value, gradient, _covariance(sample, problem, share) / temperature if has_hessian else None)


def shares(block: Block, problem: Problem, prices: Floats, temperature: float) -> tuple[Floats, Array]:
    """Each user's term of the smoothed dual, and the probability that they take each promotion (promotions x users)."""
    kind = block.value.dtype
    if problem.offers_per_user > 1:
        worth, share = several.partition(block.reduced(problem, prices), block.most_of(problem), problem, temperature)
        return worth, share.astype(kind)
    per_cost, per_count = (unit.astype(kind) for unit in problem.unit_prices(prices))
    reduced = block.value - per_cost[block.cell].T * block.cost - per_count[block.cell].T
    peak = np.maximum(reduced.max(0), 0)
    share = np.exp((reduced - peak) / kind.type(temperature))
    total = share.sum(0) + np.exp(-peak / kind.type(temperature))
    share /= total
    return peak + temperature * np.log(total).astype(np.float64), share


def by_cell(terms: Array, cell: Array, cells: int) -> Floats:
    """Sums over users: cells x promotions."""
    if cells == 1:
        return np.asarray(terms.sum(1, dtype=np.float64)[None, :])
    return np.stack([np.bincount(cell, row, cells).astype(np.float64) for row in terms], axis=1)


def _covariance(sample: Sample, problem: Problem, share: Array) -> Floats:
    """Sum over users of the covariance of what each uses; users whose choice is certain add nothing and are left out.

    Of one offer a user takes the covariance of the choices is diag(s) - s s'. Of several it is approximated by diag(d) - d d' / (sum of
    d + e) with the variances d = s (1 - s) and e, about that of how many are taken: each row then adds up to what is free in the number.
    """
    if problem.offers_per_user == 1:
        users = np.nonzero(np.maximum(share.max(0), 1 - share.sum(0)) <= 1 - 1e-6)[0]
        chance, part = share[:, users], np.ones(len(users))
    else:
        variance = share * (1 - share)
        users = np.nonzero(variance.max(0) > 1e-6)[0]
        chance, most = variance[:, users], sample.block.most_of(problem)[users]
        taken = share[:, users].sum(0)
        part = 1 / (chance.sum(0) + np.maximum(most - taken, 0) * taken / most)
    weight, cell = sample.weight[users], sample.block.cell[users]
    root = np.sqrt(weight * part).astype(share.dtype)
    costly = chance * sample.block.cost[:, users]
    cells, promotions = len(problem.cells), len(problem.promotions)
    count, cost = by_cell(chance * weight, cell, cells).ravel(), by_cell(costly * weight, cell, cells).ravel()
    square = by_cell(costly * sample.block.cost[:, users] * weight, cell, cells).ravel()
    by_cost, by_count = problem.cost_form, problem.count_form
    mixed = by_cost.multiply(cost) @ by_count.T
    moments = by_cost.multiply(square) @ by_cost.T + by_count.multiply(count) @ by_count.T + mixed + mixed.T
    covariance = np.asarray(moments.todense())
    for g in range(cells):
        of_cell = np.nonzero(cell == g)[0] if cells > 1 else slice(None)
        here = slice(g * promotions, (g + 1) * promotions)
        mean = by_cost[:, here].astype(share.dtype) @ costly[:, of_cell] + by_count[:, here].astype(share.dtype) @ chance[:, of_cell]
        mean *= root[of_cell]
        covariance -= mean @ mean.T
    return covariance


def typical_prices(block: Block, problem: Problem) -> Floats:
    """1 / (typical use of each resource by one offer): turns money into a price."""
    offered = np.isfinite(block.value)
    mean_cost = np.abs(block.cost[offered]).mean(dtype=np.float64) if offered.any() else 1.0
    per_cost, per_count = abs(problem.cost_form).max(1).toarray().ravel(), abs(problem.count_form).max(1).toarray().ravel()
    return np.asarray(1.0 / np.maximum(per_cost * mean_cost + per_count, 1e-12))


def typical_value(block: Block) -> float:
    """A typical user's best value, money: the unit temperatures are measured in."""
    best = np.maximum(block.value.max(0, initial=0.0), 0.0)
    return float(best[best > 0].mean()) if (best > 0).any() else 1.0


def ceilings(block: Block, problem: Problem) -> Floats:
    """Prices at which any resource is too dear: a hundred typical values for one offer's use."""
    largest = float(np.abs(block.value[np.isfinite(block.value)]).max(initial=0.0))
    return 100 * max(typical_value(block), largest) * typical_prices(block, problem)


def penalties(prices: Floats, typical: Floats, ceiling: Floats) -> Floats:
    """What the master pays for a unit that a limit gives way by: well above its price, and above `typical` prices where it has none."""
    return np.asarray(np.minimum(4 * prices + typical, ceiling))


def solve(sample: Sample, problem: Problem, right: Floats, start: Floats, ceiling: Floats, coolest: float, hottest: float) -> Floats:
    """Prices in [0, ceiling] that minimise the smoothed dual at temperature `coolest` (money), from `hottest` downwards."""
    unit = typical_prices(sample.block, problem)
    prices, temperature = np.clip(start, 0, ceiling), max(hottest, coolest)
    while True:
        prices = _newton(sample, problem, right, prices, ceiling, unit, temperature)
        if temperature <= coolest:
            return prices
        temperature = max(temperature * _COOLING, coolest)


def _newton(sample: Sample, problem: Problem, right: Floats, prices: Floats, ceiling: Floats, unit: Floats, temperature: float) -> Floats:
    """Newton's steps, each price moving by half of itself and a few temperatures at most: where all users agree there is no curvature."""
    here = smoothed(sample, problem, right, prices, temperature, True)
    for _ in range(_STEPS):
        assert here.hessian is not None
        stuck = ((prices <= 0) & (here.gradient > 0)) | ((prices >= ceiling) & (here.gradient < 0))
        free = np.nonzero(~stuck)[0]
        if not len(free):
            break
        hessian, gradient = here.hessian[np.ix_(free, free)], here.gradient[free]
        diagonal = np.diag(hessian)
        reach = prices[free] / 2 + _REACH * temperature * unit[free]
        damped = hessian + np.diag(1e-7 * diagonal + 1e-9 * float(diagonal.max()) + np.abs(gradient) / reach + 1e-12)
        step = np.zeros(len(prices))
        step[free] = -np.linalg.solve(damped, gradient)
        if -(step @ here.gradient) < 1e-10 * abs(here.value) + 1e-12:
            break
        length, moved = 1.0, False
        while length > 1e-4:
            there = np.clip(prices + length * step, 0, ceiling)
            trial = smoothed(sample, problem, right, there, temperature, False)
            if trial.value <= here.value + 1e-4 * float(here.gradient @ (there - prices)):
                prices, moved = there, True
                break
            length *= 0.4
        if not moved:
            break
        here = smoothed(sample, problem, right, prices, temperature, True)
    return prices
