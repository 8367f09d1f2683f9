"""Tiny instances against brute force: the plan is feasible, the bound is a bound, the stated gap is true."""

from itertools import chain, combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promoloop.allocation import scheme
from promoloop.allocation.blocks import option_of
from promoloop.allocation.effort import Effort
from promoloop.allocation.pricing import Block
from promoloop.allocation.problem import Problem, Resource
from promoloop.allocation.scan import LocalScan
from promoloop.allocation.scheme import Solution

Plan = tuple[tuple[int, ...], ...]
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
    several = draw(st.integers(1, 2))
    most = draw(st.none() | st.lists(st.integers(0, several), min_size=users, max_size=users)) if several > 1 else None
    exclusive = tuple(draw(st.lists(st.integers(0, 2), min_size=promotions, max_size=promotions))) if several > 1 else None
    problem = Problem(tuple(str(p) for p in range(promotions)), tuple(resources), offers_per_user=several, exclusive=exclusive)
    return Block(0, value, cost, np.zeros(users, np.int16), None if most is None else np.array(most, np.int8)), problem


def worth(block: Block, problem: Problem, plan: Plan) -> float | None:
    """Value of a plan by hand; None where it breaks a limit."""
    if any(own not in allowed(block, problem, u) for u, own in enumerate(plan)):
        return None
    taken = [(p, u) for u, own in enumerate(plan) for p in own]
    for resource in problem.resources:
        used = sum(resource.by_promotion[p] * (block.cost[p, u] if resource.quantity == "cost" else 1.0) for p, u in taken)
        if used > resource.capacity + 1e-12:
            return None
    return float(sum(block.value[p, u] for p, u in taken))


def allowed(block: Block, problem: Problem, user: int) -> list[tuple[int, ...]]:
    """The sets of promotions one user may get."""
    most = problem.offers_per_user if block.most is None else int(block.most[user])
    groups = problem.exclusive or tuple(range(len(problem.promotions)))
    sets = chain.from_iterable(combinations(range(len(problem.promotions)), size) for size in range(most + 1))
    return [own for own in sets if len({groups[p] for p in own}) == len(own) and all(np.isfinite(block.value[p, user]) for p in own)]


def optimum(block: Block, problem: Problem) -> float:
    plans = product(*(allowed(block, problem, user) for user in range(block.users)))
    return max(found for plan in plans if (found := worth(block, problem, plan)) is not None)


def plan_of(block: Block, problem: Problem, solution: Solution) -> Plan:
    """The plan as the executors write it."""
    option = option_of(block, problem, solution.decision, 1, 0)
    return tuple(tuple(sorted(int(p) for p in own if p >= 0)) for own in option.T)


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
    proof = scheme.solve(LocalScan(blocks, 50), problem, Effort(band_users=3000, master_options=2000, options_per_resource=0)).certificate
    assert proof.objective >= 0.99 * 1050
    assert 1050 <= proof.bound + 1e-9 <= 1.02 * 1050
    assert (proof.use <= problem.right).all()


@pytest.mark.parametrize("capacity", [0.0, 3.0])
def test_nothing_worth_giving_is_a_plan_too(capacity: float) -> None:
    block = Block(0, np.array([[-1.0, -2.0]]), np.ones((1, 2)), np.zeros(2, np.int16))
    problem = Problem(("p",), (Resource("budget", "cost", capacity, np.ones(1)),))
    proof = scheme.solve(LocalScan((block,)), problem, Effort()).certificate
    assert (proof.objective, proof.bound, proof.gap) == (0.0, 0.0, 0.0)


class _Kept:
    """A memory that lives in the test."""

    progress: scheme.Progress | None = None

    def load(self) -> scheme.Progress | None:
        return self.progress

    def save(self, progress: scheme.Progress) -> None:
        self.progress = progress


def test_a_killed_solve_goes_on_to_the_same_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    value, cost = rng.gamma(2, size=(6, 4000)), rng.uniform(0.5, 2, (6, 4000))
    scan = LocalScan(tuple(Block(n, value[:, n::4], cost[:, n::4], np.zeros(1000, np.int16)) for n in range(4)), 20)
    stocks = [Resource(f"inventory:{p}", "count", 200.0 + 50 * p, np.eye(6)[p]) for p in range(6)]
    problem = Problem(tuple("abcdef"), (Resource("budget", "cost", 1200.5, np.ones(6)), *stocks))
    effort = Effort(sample_users=200, band_users=150, master_options=300, options_per_resource=0, gap=0.0, max_passes=5)
    whole = scheme.solve(scan, problem, effort)
    assert whole.certificate.count_passes > 2
    kept, passes, price = _Kept(), [], LocalScan.price

    def dies(self: LocalScan, *asked: Any) -> Any:
        passes.append(1)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return price(self, *asked)

    monkeypatch.setattr(LocalScan, "price", dies)
    with pytest.raises(KeyboardInterrupt):
        scheme.solve(scan, problem, effort, memory=kept)
    again = scheme.solve(scan, problem, effort, memory=kept)
    assert len(passes) == whole.certificate.count_passes + 1
    assert (again.certificate.objective, again.certificate.bound) == (whole.certificate.objective, whole.certificate.bound)
    assert (again.decision.option == whole.decision.option).all()
