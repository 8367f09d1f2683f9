"""The pricing kernel: given prices, every user of a block takes what is best for them. Plain numpy, the same on driver and executors.

A block holds users side by side, promotion-major: row p of `value` and `cost` is promotion p over all users of the block, so
that each step is a vector operation over users that stays in the processor's cache.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from promoloop.allocation.problem import Floats, Problem

_CHUNK = 8192  # users per step: the temporaries of one step stay in the L2 cache
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Block:
    """Users side by side; `value` is -inf where a user may not get the promotion (its cost is 0 there)."""

    number: int
    value: Array
    cost: Array
    cell: Array

    @property
    def users(self) -> int:
        """Users in the block."""
        return int(self.value.shape[1])


@dataclass(frozen=True)
class Choices:
    """What each user of a block takes: `option` (-1: nothing), its reduced value and the runner-up's (nothing is worth 0)."""

    option: npt.NDArray[np.int32]
    best: Array
    second: Array


def choose(block: Block, unit_cost: Floats, unit_count: Floats) -> Choices:
    """The best promotion of every user at prices per unit of cost and per offer (cells x promotions)."""
    kind = block.value.dtype
    promotions, users = block.value.shape
    per_cost, per_count = unit_cost.astype(kind), unit_count.astype(kind)
    option = np.full(users, -1, np.int32)
    best, second = np.zeros(users, kind), np.full(users, -np.inf, kind)
    scratch, lesser = np.empty(min(_CHUNK, users), kind), np.empty(min(_CHUNK, users), kind)
    for start in range(0, users, _CHUNK):
        part = slice(start, min(start + _CHUNK, users))
        reduced, low = scratch[: part.stop - start], lesser[: part.stop - start]
        cell = block.cell[part] if len(per_cost) > 1 else None
        for p in range(promotions):
            np.multiply(block.cost[p, part], per_cost[0, p] if cell is None else per_cost[cell, p], out=reduced)
            np.subtract(block.value[p, part], reduced, out=reduced)
            reduced -= per_count[0, p] if cell is None else per_count[cell, p]
            np.copyto(option[part], p, where=reduced > best[part])
            np.minimum(best[part], reduced, out=low)
            np.maximum(second[part], low, out=second[part])
            np.maximum(best[part], reduced, out=best[part])
    return Choices(option, best, second)


@dataclass(frozen=True)
class Totals:
    """Totals of a set of choices: exact surplus (float64), value, cost and count per (part of the block, cell, promotion)."""

    surplus: float
    value: Floats
    cost: Floats
    count: Floats


def total(block: Block, option: npt.NDArray[np.int32], problem: Problem, prices: Floats, part: Array, parts: int) -> Totals:
    """Add up the choices `option` by part of the block (`part`: one number per user, below `parts`)."""
    users = np.nonzero(option >= 0)[0]
    chosen = option[users]
    value, cost = block.value[chosen, users].astype(np.float64), block.cost[chosen, users].astype(np.float64)
    cells, promotions = len(problem.cells), len(problem.promotions)
    cell = block.cell[users].astype(np.int64)
    per_cost, per_count = problem.unit_prices(prices)
    surplus = value - per_cost[cell, chosen] * cost - per_count[cell, chosen]
    key = (part[users] * cells + cell) * promotions + chosen
    shape, size = (parts, cells, promotions), parts * cells * promotions
    return Totals(
        float(surplus.sum()),
        np.bincount(part[users], value, parts).astype(np.float64),  # of nothing, bincount returns integers
        np.bincount(key, cost, size).astype(np.float64).reshape(shape),
        np.bincount(key, minlength=size).astype(np.float64).reshape(shape),
    )
