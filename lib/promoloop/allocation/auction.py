"""Tens of thousands of capped items: prices by an ascending auction, for programmes whose only resources are stocks.

    maximise   sum v[u,i] x[u,i]   subject to  sum_i x[u,i] <= 1 (user),  sum_u x[u,i] <= cap (item),  x in {0, 1}

At given prices every user wants one item and would pay up to its price plus what it is better than the user's next choice: the
*bid*. An item wanted by more than `cap` users rises to the highest bid it cannot serve. Alternatives only get dearer, so bids only
rise and prices never pass the lowest ones that clear the market (Demange, Gale and Sotomayor 1986; Bertsekas 1988). Each pass is
one look at the scores; its surplus plus cap * prices is a bound no plan can exceed. The last pass leaves few users over: they take
what is best among the items with room, and then cheapen what they can by exchanging.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promoloop.allocation.problem import Floats

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Eligible pairs user by user: user u's lie from offsets[u] to offsets[u + 1] (at least one each)."""

    offsets: Numbers
    item: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Wants:
    """What each user wants at some prices: the pair (-1: nothing), its reduced value, and that of the next choice (nothing is 0)."""

    pair: Numbers
    best: Floats
    second: Floats


@dataclass(frozen=True)
class Matched:
    """An integer plan (each user's pair, -1: nothing), its value, the bound, prices and passes."""

    pair: Numbers
    objective: float
    bound: float
    prices: Floats
    count_passes: int


def wants(pairs: Pairs, prices: Floats) -> Wants:
    """One pass."""
    reduced = pairs.value - prices.astype(np.float32)[pairs.item]
    starts, lengths = pairs.offsets[:-1], np.diff(pairs.offsets)
    best = np.maximum.reduceat(reduced, starts)
    at = np.flatnonzero(reduced == np.repeat(best, lengths))
    user = np.searchsorted(pairs.offsets, at, side="right") - 1
    first = np.concatenate([[True], user[1:] != user[:-1]])
    pair = at[first]
    reduced[pair] = -np.inf
    second = np.maximum(np.maximum.reduceat(reduced, starts), 0).astype(np.float64)
    exact = pairs.value[pair].astype(np.float64) - prices[pairs.item[pair]]
    return Wants(np.where(exact > 0, pair, -1), np.maximum(exact, 0), second)


def raised(pairs: Pairs, wanted: Wants, prices: Floats, cap: int) -> Floats:
    """Prices after one round of bids."""
    users = np.nonzero(wanted.pair >= 0)[0]
    item = pairs.item[wanted.pair[users]]
    bid = prices[item] + np.maximum(wanted.best[users] - wanted.second[users], 0)
    order = np.lexsort((-bid, item))
    starts = np.searchsorted(item[order], np.arange(len(prices) + 1))
    crowded = np.nonzero(np.diff(starts) > cap)[0]
    higher = prices.copy()
    higher[crowded] = np.maximum(prices[crowded], bid[order][starts[crowded] + cap])
    return higher


def match(pairs: Pairs, items: int, cap: int, gap: float = 1e-3, max_passes: int = 200) -> Matched:
    """Match users to items until plan and bound agree to `gap`; looks for a plan whenever few users are left over."""
    prices, bound, found, passes = np.zeros(items), np.inf, (-np.inf, np.zeros(0, np.int64)), 0
    while passes < max_passes:
        wanted = wants(pairs, prices)
        passes += 1
        bound = min(bound, float(wanted.best.sum() + cap * prices.sum()))
        if passes % 5 == 0 or passes == max_passes:
            plan = whole(pairs, wanted, prices, cap)
            found = max(found, (worth(pairs, plan), plan), key=lambda one: one[0])
            if bound - found[0] <= gap * abs(bound):
                break
        prices = raised(pairs, wanted, prices, cap)
    return Matched(found[1], found[0], bound, prices, passes)


def worth(pairs: Pairs, plan: Numbers) -> float:
    """Value of a plan."""
    return float(pairs.value[plan[plan >= 0]].sum(dtype=np.float64))


def whole(pairs: Pairs, wanted: Wants, prices: Floats, cap: int) -> Numbers:
    """An integer plan: of those who want a crowded item the keenest keep it, the others take turns at what still has room."""
    plan, room = np.full(pairs.users, -1, np.int64), np.full(len(prices), cap)
    queue, pair, keen = np.nonzero(wanted.pair >= 0)[0], wanted.pair[wanted.pair >= 0], (wanted.best - wanted.second)[wanted.pair >= 0]
    while len(queue):
        item = pairs.item[pair]
        order = np.lexsort((queue, -keen, item))
        rank = np.arange(len(order)) - np.searchsorted(item[order], item[order])
        is_served = rank < room[item[order]]
        served = order[is_served]
        plan[queue[served]] = pair[served]
        room -= np.bincount(item[served], minlength=len(room))
        queue = np.sort(queue[order[~is_served]])
        pair, keen = _best_with_room(pairs, queue, prices, room)
        queue, pair, keen = queue[pair >= 0], pair[pair >= 0], keen[pair >= 0]
    return plan


def _best_with_room(pairs: Pairs, queue: Numbers, prices: Floats, room: npt.NDArray[np.int64]) -> tuple[Numbers, Floats]:
    """Each queued user's best pair among items with room (-1: none is worth it), and how much better than the next."""
    lengths = np.diff(pairs.offsets)[queue]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    index = np.repeat(pairs.offsets[queue] - offsets[:-1], lengths) + np.arange(offsets[-1])
    open_value = np.where(room[pairs.item[index]] > 0, pairs.value[index], np.float32(-1.0))
    if not len(queue):
        return np.zeros(0, np.int64), np.zeros(0)
    part = wants(Pairs(offsets, pairs.item[index], open_value), np.zeros_like(prices))
    return np.where(part.pair >= 0, index[part.pair], -1), part.best - part.second
