"""Tiny instances against brute force: the plan is feasible, the bound is a bound, the stated gap is true."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promoloop.allocation import scheme
from promoloop.allocation.effort import Effort
from promoloop.allocation.pricing import Block, choose
from promoloop.allocation.problem import Problem, Resource
from promoloop.allocation.scan import LocalScan
from promoloop.allocation.scheme import Solution

_NUMBERS = st.integers(-4, 9)


@st.composite
def instances(draw: st.DrawFn) -> tuple[Block, Problem]:
    users, promotions = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    grid = st.lists(st.lists(_NUMBERS, min_size=users, max_size=users), min_size=promotions, max_size=promotions)
    value = np.array(draw(grid), float)
    cost = np.array(draw(grid), float) / 2
    barred = np.array(draw(st.lists(st.lists(st.booleans(), min_size=users, max_size=users), min_size=promotions, max_size=promotions)))
    value[barred], cost[barred] = -np.inf, 0.0
    resources = [Resource("budget", "cost", draw(st.integers(0, 12)) / 2, np.ones(promotions))]
    for p in range(promotions):
        if draw(st.booleans()):
            resources.append(Resource(f"inventory:{p}", "count", float(draw(st.integers(0, 3))), np.eye(promotions)[p]))
        if draw(st.booleans()):
            resources.append(Resource(f"budget:{p}", "cost", draw(st.integers(0, 8)) / 2, np.eye(promotions)[p]))
    problem = Problem(tuple(str(p) for p in range(promotions)), tuple(resources))
    return Block(0, value, cost, np.zeros(users, np.int16)), problem


def worth(block: Block, problem: Problem, option: tuple[int, ...]) -> float | None:
    """Value of a plan by hand; None where it breaks a limit."""
    taken = [(p, u) for u, p in enumerate(option) if p >= 0]
    for resource in problem.resources:
        used = sum(resource.by_promotion[p] * (block.cost[p, u] if resource.quantity == "cost" else 1.0) for p, u in taken)
        if used > resource.capacity + 1e-12:
            return None
    return float(sum(block.value[p, u] for p, u in taken))


def optimum(block: Block, problem: Problem) -> float:
    plans = product(range(-1, len(problem.promotions)), repeat=block.users)
    return max(found for plan in plans if (found := worth(block, problem, plan)) is not None)


def plan_of(block: Block, problem: Problem, solution: Solution) -> tuple[int, ...]:
    """The plan as the executors write it."""
    option = choose(block, *problem.unit_prices(solution.decision.prices)).option
    if 0 in solution.decision.dropped:
        option[:] = -1
    option[solution.decision.row] = solution.decision.option
    return tuple(int(p) for p in option)


@pytest.mark.parametrize("solver", ["highs", "cbc"])
@settings(max_examples=150, deadline=None)
@given(instance=instances())
def test_the_plan_is_feasible_and_the_certificate_true(instance: tuple[Block, Problem], solver: str) -> None:
    block, problem = instance
    solution = scheme.solve(LocalScan((block,)), problem, Effort(solver=solver, max_passes=3))  # type: ignore[arg-type]
    proof, best = solution.certificate, optimum(block, problem)
    own = worth(block, problem, plan_of(block, problem, solution))
    assert own is not None
    assert own == pytest.approx(proof.objective, abs=1e-9)
    assert own >= best - 1e-6
    assert proof.bound >= best - 1e-9
    assert proof.bound - own <= proof.gap * max(abs(proof.bound), 1e-12) + 1e-9


@pytest.mark.slow
def test_users_who_are_all_alike_share_what_there_is() -> None:
    """40,000 equal users, five promotions worth 1 to 5, 70 of each and a cost of 1: 70 (1 + 2 + 3 + 4 + 5) is the most."""
    count, promotions = 40_000, 5
    value = np.tile(np.arange(1.0, promotions + 1)[:, None], (1, count // 4))
    blocks = tuple(Block(n, value, np.ones_like(value), np.zeros(count // 4, np.int16)) for n in range(4))
    stocks = [Resource(f"inventory:{p}", "count", 70.0, np.eye(promotions)[p]) for p in range(promotions)]
    names = tuple(str(p) for p in range(promotions))
    problem = Problem(names, (Resource("budget", "cost", 1000.5, np.ones(promotions)), *stocks))
    proof = scheme.solve(LocalScan(blocks, 50), problem, Effort(band_users=3000, master_options=2000)).certificate
    assert proof.objective >= 0.99 * 1050
    assert 1050 <= proof.bound + 1e-9 <= 1.02 * 1050
    assert (proof.use <= problem.right).all()


@pytest.mark.parametrize("capacity", [0.0, 3.0])
def test_nothing_worth_giving_is_a_plan_too(capacity: float) -> None:
    block = Block(0, np.array([[-1.0, -2.0]]), np.ones((1, 2)), np.zeros(2, np.int16))
    problem = Problem(("p",), (Resource("budget", "cost", capacity, np.ones(1)),))
    proof = scheme.solve(LocalScan((block,)), problem, Effort()).certificate
    assert (proof.objective, proof.bound, proof.gap) == (0.0, 0.0, 0.0)
