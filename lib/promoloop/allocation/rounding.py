"""From a pass's answer to an integer plan that breaks no limit, and the prices the master would have next.

The master's optimum is a corner: at most one user per binding resource is left with a fraction. Those users, and some of the
most nearly tied others, are settled by a small integer programme with what capacity is left; what then still breaks a
ceiling (solvers allow 1e-7) is repaired by taking offers back, least loss first.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from promoloop.allocation import master
from promoloop.allocation.effort import Effort
from promoloop.allocation.pricing import Array
from promoloop.allocation.problem import Floats, Problem
from promoloop.allocation.scan import Answer, Band

_FILLED = 100_000  # options looked at to fill what room a plan leaves
_HAIR = 1e-12  # relative: sums of doubles differ in the 16th digit with their order


@dataclass(frozen=True)
class Decision:
    """An integer plan: users take what is best at `prices`, but those listed take `option` (-1: nothing), and the users of
    dropped parts who are not listed take nothing.
    """

    prices: Floats
    objective: float
    use: Floats
    number: Array
    row: Array
    option: Array
    dropped: Array


@dataclass(frozen=True)
class _Options:
    """Options the master may choose from: user (place in the band), promotion, value, signed use."""

    user: Array
    promotion: Array
    value: Floats
    use: sp.csr_matrix


def round_plan(
    answer: Answer, problem: Problem, prices: Floats, penalty: Floats, effort: Effort, slack: float, may_drop: bool
) -> tuple[Decision | None, master.Mixture]:
    """An integer plan from one pass at `prices` (None where the undecided cannot make it feasible), and the master's answer.

    `slack`: value by which the integer plan may miss the best one. With `may_drop` whole parts of blocks may lose their offers, so
    that ceilings can always be met.
    """
    band = answer.band
    reduced = _reduced(band, problem, prices)
    favourite = _favourite(reduced)
    options = _nearly_tied(band, problem, reduced, favourite, effort.master_options)
    users = np.unique(options.user)
    others = np.setdiff1d(np.arange(band.users), users)
    part_value, part_use = _with_choices(answer, problem, others, favourite)
    undecided = master.Undecided(options.user, options.value, options.use)
    whole = master.Decided(part_value.sum(0, keepdims=True), part_use.sum(0, keepdims=True))
    mixture = master.solve(whole, undecided, problem.right, penalty, effort.solver)
    kept = np.ones(len(part_value))
    settled = mixture
    if mixture.slack.max(initial=0.0) > _tolerance(problem).max(initial=0.0):
        if not may_drop:
            return None, mixture
        settled = master.solve(master.Decided(part_value, part_use), undecided, problem.right, penalty * 1e3, effort.solver)
        kept = np.floor(settled.blocks + 1e-7)
    fixed_value, fixed_use = float(kept @ part_value), kept @ part_use
    taken = _settle(settled, options, problem, fixed_use, penalty, effort, slack)
    if taken is None:
        return None, mixture
    option = favourite.copy()
    option[users] = -1
    option[options.user[taken]] = options.promotion[taken]
    option[others] = np.where(kept[band.part[others]] > 0, favourite[others], -1)
    value, use = fixed_value + float(options.value[taken].sum()), fixed_use + np.asarray(options.use[taken].sum(0)).ravel()
    option, more_value, more_use = _filled(band, problem, reduced, option, problem.right - use)
    decision = Decision(
        prices,
        value + more_value,
        use + more_use,
        band.number,
        band.row,
        option,
        np.nonzero(kept == 0)[0],
    )
    return decision, mixture


def _tolerance(problem: Problem) -> Floats:
    return 1e-7 * np.maximum(1.0, np.abs(problem.right))


def _reduced(band: Band, problem: Problem, prices: Floats) -> Floats:
    per_cost, per_count = problem.unit_prices(prices)
    return np.asarray(band.value - per_cost[band.cell].T * band.cost - per_count[band.cell].T, dtype=np.float64)


def _favourite(reduced: Floats) -> Array:
    """Each user's choice (-1: nothing, which is worth 0)."""
    return np.where(reduced.max(0, initial=-np.inf) > 0, reduced.argmax(0), -1).astype(np.int32)


def _nearly_tied(band: Band, problem: Problem, reduced: Floats, favourite: Array, most: int) -> _Options:
    """The options that lose least against their user's favourite, about `most` with the favourites of the same users.

    An option whose loss exceeds the gap is in no better plan (reduced-cost fixing), so the least losses are the ones that count.
    """
    best = np.maximum(reduced.max(0, initial=0.0), 0.0)
    loss = best - np.vstack([np.zeros((1, band.users)), reduced])  # row 0: nothing
    loss[favourite + 1, np.arange(band.users)] = np.inf
    among = np.flatnonzero(np.isfinite(loss))
    if len(among) > most // 2:
        among = np.sort(among[np.argpartition(loss.ravel()[among], most // 2)[: most // 2]])
    is_option = np.zeros(loss.shape, bool)
    is_option.ravel()[among] = True
    users = np.nonzero(is_option.any(0))[0]
    is_option[favourite[users] + 1, users] = True
    user, promotion = np.nonzero(is_option[1:].T)
    return _Options(user, promotion, band.value[promotion, user].astype(np.float64), _use_of(band, problem, user, promotion))


def _use_of(band: Band, problem: Problem, user: Array, promotion: Array) -> sp.csr_matrix:
    """Signed use of each resource by giving each `promotion` to the `user` (place in the band) beside it: one row a pair."""
    key = band.cell[user].astype(np.int64) * len(problem.promotions) + promotion
    cost = sp.diags_array(band.cost[promotion, user].astype(np.float64))
    return sp.csr_matrix(cost @ sp.csr_matrix(problem.cost_form.T)[key] + sp.csr_matrix(problem.count_form.T)[key])


def _with_choices(answer: Answer, problem: Problem, users: Array, favourite: Array) -> tuple[Floats, Floats]:
    """Value and use per part, the favourites of the band's `users` added to those of the decided."""
    band, value, use = answer.band, answer.value.copy(), answer.use.copy()
    users = users[favourite[users] >= 0]
    if len(users):
        chosen = favourite[users]
        np.add.at(value, band.part[users], band.value[chosen, users].astype(np.float64))
        spent = _use_of(band, problem, users, chosen)
        into = sp.csr_matrix((np.ones(len(users)), (band.part[users], np.arange(len(users)))), (len(value), len(users)))
        use += (into @ spent).toarray()
    return value, use


def _settle(
    mixture: master.Mixture, options: _Options, problem: Problem, fixed: Floats, penalty: Floats, effort: Effort, slack: float
) -> Array | None:
    """Options taken (a mask): whole ones as the master has them; fractional users, and the least certain, by an integer programme."""
    taken = mixture.options > 1 - 1e-7
    broken = np.unique(options.user[(mixture.options > 1e-7) & ~taken])
    if len(broken) or not _fits(fixed, options, taken, problem):
        users, margin = _margins(options, mixture.prices)
        beside = users[np.argsort(margin, kind="stable")[: effort.settled_users]]
        again = np.isin(options.user, np.union1d(broken, beside))
        room = problem.right - fixed - np.asarray(options.use[taken & ~again].sum(0)).ravel()
        small = master.Undecided(options.user[again], options.value[again], options.use[again])
        alone = master.Decided(np.zeros(1), np.zeros((1, len(room))))
        whole = master.solve(alone, small, room, penalty * 1e3, effort.solver, integer_slack=slack)
        taken[again] = whole.options > 0.5
    return _taken_back(taken, options, problem, fixed)


def _margins(options: _Options, prices: Floats) -> tuple[Array, Floats]:
    """The users of `options`, and how much better each one's best choice is than the next at `prices`, nothing among them."""
    users = np.unique(options.user)
    user = np.concatenate([options.user, users])
    reduced = np.concatenate([options.value - options.use @ prices, np.zeros(len(users))])
    order = np.lexsort((-reduced, user))
    first = np.searchsorted(user[order], users)
    return users, reduced[order][first] - reduced[order][first + 1]


def _filled(band: Band, problem: Problem, reduced: Floats, option: Array, room: Floats) -> tuple[Array, float, Floats]:
    """Give what room is left to users of the band without an offer, least loss first; the options, and the value and use added."""
    without = np.nonzero(option < 0)[0]
    promotion, at = np.nonzero((band.value[:, without] > 0) & np.isfinite(reduced[:, without]))
    order = np.lexsort((at, -reduced[promotion, without[at]], promotion))
    of_promotion = np.arange(len(order)) - np.searchsorted(promotion[order], promotion[order])
    order = order[of_promotion < _FILLED // len(problem.promotions)]
    order = order[np.argsort(-reduced[promotion[order], without[at[order]]], kind="stable")]
    promotion, user = promotion[order], without[at[order]]
    use = _use_of(band, problem, user, promotion)
    start = room - _HAIR * np.abs(problem.right)
    option, left, value = option.copy(), start.copy(), 0.0
    for j in range(len(user)):
        if option[user[j]] >= 0:
            continue
        own = slice(use.indptr[j], use.indptr[j + 1])
        which, amount = use.indices[own], use.data[own]
        if (amount <= left[which]).all():
            left[which] -= amount
            option[user[j]] = promotion[j]
            value += float(band.value[promotion[j], user[j]])
    return option, value, start - left


def _fits(fixed: Floats, options: _Options, taken: Array, problem: Problem) -> bool:
    over = fixed + np.asarray(options.use[taken].sum(0)).ravel() - problem.right
    return bool((over <= _HAIR * np.abs(problem.right)).all())


def _taken_back(taken: Array, options: _Options, problem: Problem, fixed: Floats) -> Array | None:
    """Take offers back until no limit is broken, least value per unit of relief first; None where that does not help."""
    taken = taken.copy()
    while not _fits(fixed, options, taken, problem):
        over = fixed + np.asarray(options.use[taken].sum(0)).ravel() - problem.right
        k = int(np.argmax(over / np.maximum(np.abs(problem.right), 1e-12)))
        relief = options.use[:, [k]].toarray().ravel()
        helps = np.nonzero(taken & (relief > 0))[0]
        if not len(helps):
            return None
        enough = helps[relief[helps] >= over[k]]
        pick = enough[np.argmin(options.value[enough])] if len(enough) else helps[np.argmin(options.value[helps] / relief[helps])]
        taken[pick] = False
    return taken
