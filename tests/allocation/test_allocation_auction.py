"""Capped items by auction, against the optimum of the assignment problem on small instances."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from promoloop.allocation import auction


@st.composite
def instances(draw: st.DrawFn) -> tuple[auction.Pairs, int, int]:
    users, items, cap = draw(st.integers(1, 8)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    has = [draw(st.lists(st.integers(0, items - 1), min_size=1, max_size=items, unique=True)) for _ in range(users)]
    item = np.array([i for own in has for i in sorted(own)], np.int32)
    value = np.array([draw(st.integers(-3, 9)) for _ in item], np.float32)
    return auction.Pairs(np.cumsum([0, *(len(own) for own in has)]), item, value), items, cap


def optimum(pairs: auction.Pairs, items: int, cap: int) -> float:
    """Each item as `cap` places, and for each user a place of their own that is worth nothing."""
    worth = np.full((pairs.users, items * cap + pairs.users), 0.0)
    worth[:, : items * cap] = -1e6
    for user in range(pairs.users):
        for at in range(pairs.offsets[user], pairs.offsets[user + 1]):
            worth[user, pairs.item[at] * cap : (pairs.item[at] + 1) * cap] = pairs.value[at]
    return float(worth[linear_sum_assignment(worth, maximize=True)].sum())


@settings(max_examples=200, deadline=None)
@given(instance=instances())
def test_the_matching_is_feasible_and_the_bound_is_one(instance: tuple[auction.Pairs, int, int]) -> None:
    pairs, items, cap = instance
    matched = auction.match(pairs, items, cap, gap=0.0, max_passes=30)
    taken = matched.pair[matched.pair >= 0]
    assert np.bincount(pairs.item[taken], minlength=items).max(initial=0) <= cap
    users = np.nonzero(matched.pair >= 0)[0]
    assert ((pairs.offsets[users] <= taken) & (taken < pairs.offsets[users + 1])).all()
    assert matched.objective == float(pairs.value[taken].sum())
    best = optimum(pairs, items, cap)
    assert matched.objective <= best + 1e-6
    assert matched.bound >= best - 1e-4
