"""Several offers for one user: at most `most` of them, and at most one of the promotions that share an exclusive group.

What a user takes at given prices is the best of every group, and of those the `most` dearest that are worth anything: greedy is exact,
as the sets a user may take are the independent sets of a laminar matroid (Edmonds 1971). The smoothed choice of `dual` has weights
that are elementary symmetric polynomials of the groups' weights: `partition`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promoloop.allocation.problem import Floats, Problem

_CLIP = 400.0  # exponent up to which weights are told apart, shared by the offers a user may have
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Taken:
    """What users take: `option` (slots x users, -1: nothing), worth of it, and the least change of a reduced value that would alter it."""

    option: Ints
    surplus: Floats
    margin: Floats


def take(reduced: Floats, most: Ints, problem: Problem) -> Taken:
    """The best set of every user; `reduced` (promotions x users), `most` (users)."""
    slots, users = problem.offers_per_user, np.arange(reduced.shape[1])
    best, which, second = _groups(reduced, problem)
    best = np.vstack([best, np.full((slots + 1, len(users)), -np.inf)])
    order = np.argsort(-best, axis=0, kind="stable")[: slots + 1]
    ranked = best[order, users]
    is_taken = (ranked[:slots] > 0) & (np.arange(slots)[:, None] < most)
    count = is_taken.sum(0)
    option = np.where(is_taken, np.vstack([which, np.zeros((slots + 1, len(users)), np.int32)])[order[:slots], users], -1).astype(np.int32)
    surplus = np.where(is_taken, ranked[:slots], 0.0).sum(0)
    last = np.where(count > 0, ranked[np.maximum(count - 1, 0), users], np.inf)
    following = ranked[count, users]
    margin = np.where(count == most, last - np.maximum(following, 0.0), np.minimum(last, -following))
    rivals = np.vstack([second, np.full((slots + 1, len(users)), -np.inf)])[order[:slots], users]
    ahead = np.full(rivals.shape, np.inf)
    np.subtract(ranked[:slots], rivals, out=ahead, where=is_taken)
    within = ahead.min(0)
    return Taken(option, surplus, np.where(most > 0, np.minimum(margin, within), np.inf))


def _groups(reduced: Floats, problem: Problem) -> tuple[Floats, Ints, Floats]:
    """Per exclusive group and user: the best reduced value, whose it is, and the second best (-inf where there is none)."""
    groups = problem.groups
    shape = (len(groups), reduced.shape[1])
    best, which, second = np.empty(shape), np.empty(shape, np.int32), np.full(shape, -np.inf)
    for g, members in enumerate(groups):
        own = reduced[members]
        at = own.argmax(0)
        best[g], which[g] = np.take_along_axis(own, at[None], 0)[0], members[at]
        if len(members) > 1:
            np.put_along_axis(own, at[None], -np.inf, 0)
            second[g] = own.max(0)
    return best, which, second


def partition(reduced: Floats, most: Ints, problem: Problem, temperature: float) -> tuple[Floats, Floats]:
    """Temperature * log of the sum over a user's feasible sets of exp(worth / temperature), and the chance of each promotion.

    `reduced` is promotions x users; the first array is over users, the second promotions x users.
    """
    groups, slots, users = problem.groups, problem.offers_per_user, reduced.shape[1]
    clip = _CLIP / slots
    tops = np.maximum(np.stack([reduced[members].max(0) for members in groups]), -1e12)  # nobody eligible: as good as never
    ranked = -np.sort(-np.vstack([tops, np.full((slots, users), -np.inf)]), axis=0)[:slots]
    level = np.where(most > 0, np.maximum(ranked[np.maximum(most, 1) - 1, np.arange(users)], 0.0), 0.0)
    excess = tops - level - clip * temperature  # what lies above the clip is taken for sure
    above = np.maximum(excess, 0.0)
    inside = [np.exp((reduced[members] - tops[g]) / temperature) for g, members in enumerate(groups)]
    spread = [np.maximum(part.sum(0), 1e-300) for part in inside]
    weight = np.exp((tops - level - above) / temperature) * np.stack(spread)
    prefix, suffix = _symmetric(weight, slots), _symmetric(weight[::-1], slots)
    discount = np.exp(-level / temperature)  # of every offer a user does not take though there is room
    total = _total(prefix[-1], most, discount)
    chance = np.empty(reduced.shape)
    for g, members in enumerate(groups):
        others = np.zeros((slots + 1, users))
        before, after = prefix[g], suffix[len(groups) - 1 - g]
        for j in range(slots):
            for i in range(j + 1):
                others[j] += before[i] * after[j - i]
        of_group = weight[g] * _total(others, most - 1, discount) / total
        chance[members] = inside[g] / spread[g] * of_group
    value = most * level + temperature * np.log(total) + above.sum(0)
    return value, chance


def _symmetric(weight: Floats, slots: int) -> list[Floats]:
    """Elementary symmetric polynomials, degrees 0 to `slots`, of no rows of `weight`, of the first, of the first two, ..."""
    now = np.zeros((slots + 1, weight.shape[1]))
    now[0] = 1.0
    found = [now]
    for row in weight:
        more = now.copy()
        more[1:] += now[:-1] * row
        found.append(more)
        now = more
    return found


def _total(polynomials: Floats, most: Ints, discount: Floats) -> Floats:
    """Sum over j up to `most` of polynomial j times discount^(most - j); 0 where `most` is negative."""
    total = np.zeros(polynomials.shape[1])
    for j, polynomial in enumerate(polynomials):
        total += np.where(most >= j, polynomial * discount ** np.maximum(most - j, 0), 0.0)
    return total
