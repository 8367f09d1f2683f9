"""From a pass's answer to an integer plan that breaks no limit, and the prices the master would have next.

The master's optimum is a corner: at most one user per binding resource is left with a fraction. Those users, and some of the
most nearly tied others, are settled by a small integer programme with what capacity is left; what then still breaks a
ceiling (solvers allow 1e-7) is repaired by taking offers back, least loss first.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from promoloop.allocation import master, several
from promoloop.allocation.effort import Effort
from promoloop.allocation.pricing import Array, Block
from promoloop.allocation.problem import Floats, Problem
from promoloop.allocation.scan import Answer

_FILLED = 100_000  # options looked at to fill what room a plan leaves
_HAIR = 1e-12  # relative: sums of doubles differ in the 16th digit with their order


@dataclass(frozen=True)
class Decision:
    """An integer plan: users take what is best at `prices`, but those listed take `option` (slots x listed, -1: nothing), and the
    users of dropped parts who are not listed take nothing. They choose with luck of so much `temperature` (`Block.shaken`).
    """

    prices: Floats
    objective: float
    use: Floats
    number: Array
    row: Array
    option: Array
    dropped: Array
    temperature: float = 0.0


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
    band, block = answer.band, answer.band.block
    reduced = block.reduced(problem, prices)
    favourite = several.take(reduced, block.most_of(problem), problem).option
    options = _nearly_tied(block, problem, reduced, favourite, effort.options(len(problem.resources)))
    users = np.unique(options.user)
    others = np.setdiff1d(np.arange(band.users), users)
    part_value, part_use = _with_choices(answer, problem, others, favourite)
    undecided = _of_master(options, block, problem)
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
    taken = _settle(settled, undecided, problem, fixed_use, penalty, effort, slack)
    if taken is None:
        return None, mixture
    given = _mask(favourite, len(problem.promotions))
    given[:, users] = False
    given[options.promotion[taken], options.user[taken]] = True
    given[:, others] &= kept[band.part[others]] > 0
    value, use = fixed_value + float(options.value[taken].sum()), fixed_use + np.asarray(options.use[taken].sum(0)).ravel()
    given, more_value, more_use = _filled(block, problem, reduced, given, problem.right - use)
    decision = Decision(
        prices,
        value + more_value,
        use + more_use,
        band.number,
        band.row,
        _option(given, problem.offers_per_user),
        np.nonzero(kept == 0)[0],
    )
    return decision, mixture


def _tolerance(problem: Problem) -> Floats:
    return 1e-7 * np.maximum(1.0, np.abs(problem.right))


def _mask(option: Array, promotions: int) -> Array:
    """Which promotions users get (promotions x users), from their slots."""
    given = np.zeros((promotions, option.shape[1]), bool)
    slot, user = np.nonzero(option >= 0)
    given[option[slot, user], user] = True
    return given


def _option(given: Array, slots: int) -> Array:
    """The inverse of `_mask`."""
    option = np.full((slots, given.shape[1]), -1, np.int32)
    promotion, user = np.nonzero(given)
    option[given.cumsum(0)[promotion, user] - 1, user] = promotion
    return option


def _nearly_tied(block: Block, problem: Problem, reduced: Floats, favourite: Array, most: int) -> _Options:
    """The options that lose least against their user's favourites, about `most` with the favourites of the same users.

    An option whose loss exceeds the gap is in no better plan (reduced-cost fixing), so the least losses are the ones that count. Losses
    are those of giving up a favourite, and of taking something else, in place of the favourite it excludes or of the least one.
    """
    is_favourite = _mask(favourite, len(problem.promotions))
    loss = np.where(is_favourite, reduced, _bar(problem, reduced, favourite, block.most_of(problem)) - reduced)
    among = np.flatnonzero(np.isfinite(loss))
    if len(among) > most // 2:
        among = np.sort(among[np.argpartition(loss.ravel()[among], most // 2)[: most // 2]])
    is_option = np.zeros(loss.shape, bool)
    is_option.ravel()[among] = True
    users = np.nonzero(is_option.any(0))[0]
    is_option[:, users] |= is_favourite[:, users]
    user, promotion = np.nonzero(is_option.T)
    return _Options(user, promotion, block.value[promotion, user].astype(np.float64), _use_of(block, problem, user, promotion))


def _bar(problem: Problem, reduced: Floats, favourite: Array, most: Array) -> Floats:
    """What a promotion must beat to be taken (promotions x users): the favourite of its group, or the least favourite, or nothing."""
    users = np.arange(reduced.shape[1])
    worth = np.where(favourite >= 0, reduced[favourite, users], np.inf)
    is_full = (favourite >= 0).sum(0) >= most
    bar = np.tile(np.where(is_full, np.where(most > 0, worth.min(0), np.inf), 0.0), (len(reduced), 1))
    for own, its in zip(favourite, worth, strict=True):
        same = (problem.group_of[:, None] == problem.group_of[own]) & (own >= 0)
        bar = np.where(same, its, bar)
    return bar


def _of_master(options: _Options, block: Block, problem: Problem) -> master.Undecided:
    if problem.offers_per_user == 1:
        return master.Undecided(options.user, options.value, options.use)
    most, group = block.most_of(problem)[options.user], problem.group_of[options.promotion]
    return master.Undecided(options.user, options.value, options.use, most, group)


def _use_of(block: Block, problem: Problem, user: Array, promotion: Array) -> sp.csr_matrix:
    """Signed use of each resource by giving each `promotion` to the `user` (place in the band) beside it: one row a pair."""
    key = block.cell[user].astype(np.int64) * len(problem.promotions) + promotion
    cost = sp.diags_array(block.cost[promotion, user].astype(np.float64))
    return sp.csr_matrix(cost @ sp.csr_matrix(problem.cost_form.T)[key] + sp.csr_matrix(problem.count_form.T)[key])


def _with_choices(answer: Answer, problem: Problem, users: Array, favourite: Array) -> tuple[Floats, Floats]:
    """Value and use per part, the favourites of the band's `users` added to those of the decided."""
    band, value, use = answer.band, answer.value.copy(), answer.use.copy()
    slot, at = np.nonzero(favourite[:, users] >= 0)
    if len(at):
        user = users[at]
        chosen = favourite[slot, user]
        np.add.at(value, band.part[user], band.block.value[chosen, user].astype(np.float64))
        spent = _use_of(band.block, problem, user, chosen)
        into = sp.csr_matrix((np.ones(len(user)), (band.part[user], np.arange(len(user)))), (len(value), len(user)))
        use += (into @ spent).toarray()
    return value, use


def _settle(
    mixture: master.Mixture, options: master.Undecided, problem: Problem, fixed: Floats, penalty: Floats, effort: Effort, slack: float
) -> Array | None:
    """Options taken (a mask): whole ones as the master has them; fractional users, and the least certain, by an integer programme."""
    taken = mixture.options > 1 - 1e-7
    broken = np.unique(options.user[(mixture.options > 1e-7) & ~taken])
    if len(broken) or not _fits(fixed, options, taken, problem):
        users, margin = _margins(options, mixture.prices)
        beside = users[np.argsort(margin, kind="stable")[: effort.settled_users]]
        again = np.isin(options.user, np.union1d(broken, beside))
        room = problem.right - fixed - np.asarray(options.use[taken & ~again].sum(0)).ravel()
        part = (None if array is None else array[again] for array in (options.most, options.group))
        small = master.Undecided(options.user[again], options.value[again], options.use[again], *part)
        alone = master.Decided(np.zeros(1), np.zeros((1, len(room))))
        whole = master.solve(alone, small, room, penalty * 1e3, effort.solver, integer_slack=slack)
        taken[again] = whole.options > 0.5
    return _taken_back(taken, options, problem, fixed)


def _margins(options: master.Undecided, prices: Floats) -> tuple[Array, Floats]:
    """The users of `options`, and how much better the last choice of each is than the next at `prices`, nothing among them."""
    users, first_option = np.unique(options.user, return_index=True)
    most = np.ones(len(users), np.int64) if options.most is None else options.most[first_option].astype(np.int64)
    user = np.concatenate([options.user, np.repeat(users, most)])
    reduced = np.concatenate([options.value - options.use @ prices, np.zeros(most.sum())])
    order = np.lexsort((-reduced, user))
    last = np.searchsorted(user[order], users) + most - 1
    return users, reduced[order][last] - reduced[order][last + 1]


def _filled(block: Block, problem: Problem, reduced: Floats, given: Array, room: Floats) -> tuple[Array, float, Floats]:
    """Give what room is left to users who may have more, least loss first; who has what, and the value and use added."""
    missing = block.most_of(problem) - given.sum(0)
    held = np.stack([given[members].any(0) for members in problem.groups])
    promotion, user = np.nonzero((block.value > 0) & np.isfinite(reduced) & (missing > 0) & ~held[problem.group_of])
    order = np.lexsort((user, -reduced[promotion, user], promotion))
    of_promotion = np.arange(len(order)) - np.searchsorted(promotion[order], promotion[order])
    order = order[of_promotion < _FILLED // len(problem.promotions)]
    order = order[np.argsort(-reduced[promotion[order], user[order]], kind="stable")]
    promotion, user = promotion[order], user[order]
    use = _use_of(block, problem, user, promotion)
    start = room - _HAIR * np.abs(problem.right)
    given, left, value = given.copy(), start.copy(), 0.0
    for j in range(len(user)):
        group = problem.group_of[promotion[j]]
        if missing[user[j]] == 0 or held[group, user[j]]:
            continue
        own = slice(use.indptr[j], use.indptr[j + 1])
        which, amount = use.indices[own], use.data[own]
        if (amount <= left[which]).all():
            left[which] -= amount
            missing[user[j]] -= 1
            held[group, user[j]] = given[promotion[j], user[j]] = True
            value += float(block.value[promotion[j], user[j]])
    return given, value, start - left


def _fits(fixed: Floats, options: master.Undecided, taken: Array, problem: Problem) -> bool:
    over = fixed + np.asarray(options.use[taken].sum(0)).ravel() - problem.right
    return bool((over <= _HAIR * np.abs(problem.right)).all())


def _taken_back(taken: Array, options: master.Undecided, problem: Problem, fixed: Floats) -> Array | None:
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
