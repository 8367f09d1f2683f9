"""Promotions that must reach at least so many users once they run: running or not is decided by branching.

The programme without that demand is a relaxation, so its bound holds for every plan. Where its plan runs a promotion for too few, it is
solved again with the promotion closed and with a floor under it, and the better plan goes on, until all that run reach enough. One path
is followed, not the whole tree: the plan may then fall short of the best, by no more than the gap says.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from promoloop.allocation.problem import Problem, Resource
from promoloop.allocation.scheme import Certificate, Solution
from promoloop.errors import UserError

PREFIX = "minimum:"


def solve_running(solve: Callable[[Problem], Solution], problem: Problem) -> tuple[Problem, Solution]:
    """Solve with `problem.minimums`; the problem as it was solved in the end, and the solution with the first bound."""
    solution = solve(problem)
    bound, passes = solution.certificate.bound, solution.certificate.count_passes
    while (short := _too_few(problem, solution)) is not None:
        tried = [_solved(solve, _with(problem, short, is_running)) for is_running in (False, True)]
        found = [one for one in tried if one is not None]
        if not found:
            raise UserError(f"no plan meets every limit, whether promotion {problem.promotions[short]} runs or not")
        problem, solution = max(found, key=lambda one: one[1].certificate.objective)
        passes += sum(one.certificate.count_passes for _, one in found)
    proof = solution.certificate
    whole = Certificate(proof.objective, max(bound, proof.objective), proof.use, proof.prices, passes, proof.seconds_per_pass)
    return problem, Solution(solution.decision, whole)


def counting(problem: Problem, users: int) -> Problem:
    """`problem` with a resource for every minimum that only counts: what a plan gives of that promotion."""
    most = float(max(1, users * problem.offers_per_user))
    alone = np.eye(len(problem.promotions))
    counted = [
        Resource(f"{PREFIX}{problem.promotions[p]}", "count", most, alone[p]) for p, least in enumerate(problem.minimums or ()) if least
    ]
    return replace(problem, resources=(*problem.resources, *counted))


def _too_few(problem: Problem, solution: Solution) -> int | None:
    """The promotion that runs for the smallest share of its minimum; None: none falls short."""
    short: dict[int, float] = {}
    for resource, used in zip(problem.resources, solution.certificate.use, strict=True):
        if resource.name.startswith(PREFIX) and not resource.is_floor:
            p = problem.promotions.index(resource.name.removeprefix(PREFIX))
            least = (problem.minimums or ())[p]
            if 0.5 < used < least - 0.5:
                short[p] = float(used) / least
    return min(short, key=lambda p: (short[p], p)) if short else None


def _with(problem: Problem, promotion: int, is_running: bool) -> Problem:
    """The minimum of `promotion` as a floor, or the promotion closed."""
    name = f"{PREFIX}{problem.promotions[promotion]}"
    capacity = float((problem.minimums or ())[promotion]) if is_running else 0.0
    changed = [replace(r, capacity=capacity, is_floor=is_running) if r.name == name else r for r in problem.resources]
    return replace(problem, resources=tuple(changed))


def _solved(solve: Callable[[Problem], Solution], problem: Problem) -> tuple[Problem, Solution] | None:
    try:
        return problem, solve(problem)
    except UserError:  # a floor that no plan can meet: this branch is empty
        return None
