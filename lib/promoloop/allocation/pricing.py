"""The pricing kernel: given prices, every user of a block takes what is best for them. Plain numpy, the same on driver and executors.

A block holds users side by side, promotion-major: row p of `value` and `cost` is promotion p over all users of the block, so
that each step is a vector operation over users that stays in the processor's cache.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from promoloop.allocation import several
from promoloop.allocation.problem import Floats, Problem

_LUCK = 9  # the stream of draws
_CHUNK = 8192  # users per step: the temporaries of one step stay in the L2 cache
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Block:
    """Users side by side; `value` is -inf where a user may not get the promotion (its cost is 0 there).

    `most`: how many offers each user may get; None: as many as the problem allows. `luck`: what users add to values when they choose,
    and nothing else counts (`shaken`).
    """

    number: int
    value: Array
    cost: Array
    cell: Array
    most: npt.NDArray[np.int8] | None = None
    luck: Array | None = None

    @property
    def users(self) -> int:
        """Users in the block."""
        return int(self.value.shape[1])

    def most_of(self, problem: Problem) -> npt.NDArray[np.int32]:
        """How many offers each user may get."""
        if self.most is None:
            return np.full(self.users, problem.offers_per_user, np.int32)
        return np.minimum(self.most, problem.offers_per_user).astype(np.int32)

    def only(self, users: Any) -> "Block":
        """Some of the users: an index array or a slice."""
        most = None if self.most is None else self.most[users]
        luck = None if self.luck is None else self.luck[:, users]
        return Block(self.number, self.value[:, users], self.cost[:, users], self.cell[users], most, luck)

    def shaken(self, temperature: float) -> "Block":
        """The block with luck of so many money units: each user then takes a promotion with the probability `dual.shares` says.

        Luck is the difference of Gumbel's draws for the promotion and for nothing (Gumbel 1954; Luce 1959), seeded by the block's number.
        """
        if not temperature:
            return self
        drawn = np.random.default_rng([_LUCK, self.number + 1]).gumbel(size=(len(self.value) + 1, self.users))
        return replace(self, luck=(temperature * (drawn[:-1] - drawn[-1])).astype(self.value.dtype))

    def reduced(self, problem: Problem, prices: Floats) -> Floats:
        """Value, and luck, less what `prices` charge, promotions x users, in doubles."""
        per_cost, per_count = problem.unit_prices(prices)
        value = self.value if self.luck is None else self.value + self.luck
        return np.asarray(value - per_cost[self.cell].T * self.cost - per_count[self.cell].T, dtype=np.float64)


@dataclass(frozen=True)
class Choices:
    """What each user of a block takes: `option` (slots x users, -1: nothing), its reduced value (`surplus`), and `margin`, the least
    change of a reduced value that would alter it (nothing is worth 0).
    """

    option: npt.NDArray[np.int32]
    surplus: Array
    margin: Array


def choose(block: Block, problem: Problem, prices: Floats) -> Choices:
    """What is best for every user at `prices` (one per resource)."""
    if problem.offers_per_user > 1:
        return _choose_several(block, problem, prices)
    return _choose_one(block, *problem.unit_prices(prices))


def _choose_several(block: Block, problem: Problem, prices: Floats) -> Choices:
    most, parts = block.most_of(problem), []
    for start in range(0, max(block.users, 1), _CHUNK):
        part = slice(start, start + _CHUNK)
        parts.append(several.take(block.only(part).reduced(problem, prices), most[part], problem))
    return Choices(
        np.concatenate([one.option for one in parts], axis=1),
        np.concatenate([one.surplus for one in parts]),
        np.concatenate([one.margin for one in parts]),
    )


def _choose_one(block: Block, unit_cost: Floats, unit_count: Floats) -> Choices:
    """One offer at the most; prices per unit of cost and per offer (cells x promotions)."""
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
            if block.luck is not None:
                reduced += block.luck[p, part]
            reduced -= per_count[0, p] if cell is None else per_count[cell, p]
            np.copyto(option[part], p, where=reduced > best[part])
            np.minimum(best[part], reduced, out=low)
            np.maximum(second[part], low, out=second[part])
            np.maximum(best[part], reduced, out=best[part])
    return Choices(option[None], best, best - second)


@dataclass(frozen=True)
class Totals:
    """Totals of a set of choices: exact surplus (float64), value, cost and count per (part of the block, cell, promotion)."""

    surplus: float
    value: Floats
    cost: Floats
    count: Floats


def total(block: Block, option: npt.NDArray[np.int32], problem: Problem, prices: Floats, part: Array, parts: int) -> Totals:
    """Add up the choices `option` (slots x users) by part of the block (`part`: one number per user, below `parts`)."""
    slot, users = np.nonzero(option >= 0)
    chosen = option[slot, users]
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
