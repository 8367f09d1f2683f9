"""The master programme on the driver, in PuLP: blocks that have decided, and the few users that have not.

    maximise    sum_B w[B] y[B] + sum_j v[j] x[j]  -  penalty . slack
    subject to  sum_B use[B,k] y[B] + sum_j a[j,k] x[j] - slack[k] <= right[k]      each resource k
                sum of x over the options of a user <= 1 (or most)                  each undecided user
                sum of x over those of one exclusive group <= 1                     where a user may get several
                0 <= y <= 1,   x >= 0 (or binary),   slack >= 0

Written as a minimisation: for maximisation CBC and HiGHS return duals of opposite sign. A block is a column of Dantzig and
Wolfe (1960): its users' choices at the last prices, beside the column of zeros; an undecided user is a block of one.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pulp
import scipy.sparse as sp

from promoloop.allocation.problem import Floats
from promoloop.errors import UserError

SolverName = Literal["highs", "cbc"]


@dataclass(frozen=True)
class Undecided:
    """Options of the undecided users, one row per option: user (0, 1, ...), signed use of each resource (sparse), value.

    `most`: how many offers the option's user may get; `group`: the exclusive group of its promotion. None: one offer each.
    """

    user: np.ndarray
    value: Floats
    use: sp.csr_matrix
    most: np.ndarray | None = None
    group: np.ndarray | None = None


@dataclass(frozen=True)
class Decided:
    """Value and signed use of what is decided, one row per block (or one row: everything together)."""

    value: Floats
    use: Floats


@dataclass(frozen=True)
class Mixture:
    """The master's answer: objective without penalties, prices of the resources, y, x and slack."""

    objective: float
    prices: Floats
    blocks: Floats
    options: Floats
    slack: Floats


def solve(
    decided: Decided,
    undecided: Undecided,
    right: Floats,
    penalty: Floats,
    solver: SolverName = "highs",
    integer_slack: float | None = None,
) -> Mixture:
    """Solve the master. With `integer_slack` users take whole options, worth at most that much less than the best (prices are then zeros).

    Blocks are held whole where there is but one row of them: then it is not a block but all that is decided.
    """
    programme = pulp.LpProblem("master", pulp.LpMinimize)
    is_fixed, is_integer = len(decided.value) == 1, integer_slack is not None
    y = [] if is_fixed else [programme.add_variable(f"block_{b}", 0, 1) for b in range(len(decided.value))]
    kind = pulp.LpBinary if is_integer else pulp.LpContinuous
    has_bound = is_integer or undecided.most is not None
    x = [programme.add_variable(f"option_{j}", 0, 1 if has_bound else None, kind) for j in range(len(undecided.value))]
    slack = [programme.add_variable(f"slack_{k}", 0) for k in range(len(right))]
    programme += pulp.LpAffineExpression(
        [*zip(y, -decided.value, strict=True), *zip(x, -undecided.value, strict=True), *zip(slack, penalty, strict=True)]
        if not is_fixed
        else [*zip(x, -undecided.value, strict=True), *zip(slack, penalty, strict=True)]
    )
    by_resource = sp.csc_matrix(undecided.use)
    room = right - decided.use[0] if is_fixed else right
    for k in range(len(right)):
        rows = slice(by_resource.indptr[k], by_resource.indptr[k + 1])
        terms = [(x[j], a) for j, a in zip(by_resource.indices[rows], by_resource.data[rows], strict=True)]
        terms += [(column, a) for column, a in zip(y, decided.use[:, k], strict=True) if a] if not is_fixed else []
        programme += pulp.LpAffineExpression([*terms, (slack[k], -1.0)]) <= float(room[k]), f"resource_{k}"
    for own in _together(undecided.user):
        most = 1 if undecided.most is None else int(undecided.most[own[0]])
        programme += pulp.lpSum([x[j] for j in own]) <= most, f"user_{undecided.user[own[0]]}"
    if undecided.group is not None:
        for own in _together(undecided.user * (int(undecided.group.max(initial=0)) + 1) + undecided.group):
            if len(own) > 1:
                programme += pulp.lpSum([x[j] for j in own]) <= 1, f"user_{undecided.user[own[0]]}_group_{undecided.group[own[0]]}"
    status = _run(programme, solver, integer_slack or 0.0)
    if status != "Optimal":
        raise UserError(f"the allocation's master programme is {status.lower()}")
    worth = np.array([v.value() or 0.0 for v in x])
    mixed = np.ones(1) if is_fixed else np.array([v.value() or 0.0 for v in y])
    limits = [programme.get_constraint_by_name(f"resource_{k}") for k in range(len(right))]
    prices = np.zeros(len(right)) if is_integer else np.array([-(limit.pi or 0.0) for limit in limits])
    return Mixture(
        float(decided.value @ mixed + undecided.value @ worth),
        np.maximum(prices, 0.0),
        mixed,
        worth,
        np.array([v.value() or 0.0 for v in slack]),
    )


def _together(keys: np.ndarray) -> list[np.ndarray]:
    """Places of equal keys."""
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.nonzero(np.diff(keys[order]))[0] + 1) if len(order) else []


def _run(programme: Any, name: SolverName, slack: float) -> str:
    """Solve with one thread and no clock, so that a plan made twice is the same plan; a node limit counts as solved."""
    if name == "cbc":
        programme.solve(pulp.PULP_CBC_CMD(msg=False, threads=1, gapRel=1e-9, gapAbs=slack, options=["maxNodes 200"]))
        return str(pulp.LpStatus[programme.status])
    highs = pulp.HiGHS(msg=False, threads=1, mip_rel_gap=1e-9, mip_abs_gap=slack, mip_max_nodes=200)
    try:
        programme.solve(highs)
    except KeyError:  # PuLP 3.3 knows no name for HiGHS's "solution limit"; the values are set before it looks
        return "Optimal" if all(v.varValue is not None for v in programme.variables()) else "Not Solved"
    return str(pulp.LpStatus[programme.status])
