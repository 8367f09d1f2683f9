"""More users tied than the driver looks at: chance shares out what prices cannot, and the plan written is the plan proved."""

import numpy as np
import pytest

from promoloop.allocation import dual, scheme
from promoloop.allocation.blocks import option_of
from promoloop.allocation.effort import Effort
from promoloop.allocation.pricing import Block, choose
from promoloop.allocation.problem import Problem, Resource
from promoloop.allocation.scan import LocalScan

_FEW = Effort(sample_users=2000, band_users=300, most_master_options=2000, options_per_resource=20)


def _blocks(values: list[float], cost: float, users: int, kind: type = np.float64) -> tuple[Block, ...]:
    value = np.tile(np.array(values, kind)[:, None], (1, users // 4))
    return tuple(Block(n, value, np.full_like(value, cost), np.zeros(users // 4, np.int16)) for n in range(4))


def _problem(stocks: list[float], budget: float) -> Problem:
    count = len(stocks)
    limits = [Resource(f"inventory:{p}", "count", stock, np.eye(count)[p]) for p, stock in enumerate(stocks)]
    return Problem(tuple(str(p) for p in range(count)), (Resource("budget", "cost", budget, np.ones(count)), *limits))


def _written(blocks: tuple[Block, ...], problem: Problem, solution: scheme.Solution, parts: int) -> tuple[float, np.ndarray]:
    """Value of the plan as the executors write it, and how often each promotion is given."""
    options = [option_of(block, problem, solution.decision, parts, block.number)[0] for block in blocks]
    value = sum(float(block.value[own[own >= 0], np.nonzero(own >= 0)[0]].sum()) for block, own in zip(blocks, options, strict=True))
    return value, np.bincount(np.concatenate(options) + 1, minlength=len(problem.promotions) + 1)[1:]


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_users_who_are_all_alike_are_shared_out(kind: type) -> None:
    """40,000 equal users, stocks for three quarters of them: whatever the stocks hold is worth giving."""
    blocks, problem = _blocks([1.0, 2.0, 3.0], 1.0, 40_000, kind), _problem([9_000.0, 11_000.0, 10_000.0], 28_000.5)
    solution = scheme.solve(LocalScan(blocks, 50), problem, _FEW)
    best = 3 * 10_000 + 2 * 11_000 + 1 * 7_000
    proof = solution.certificate
    assert best * (1 - 1e-3) <= proof.objective <= best
    assert best <= proof.bound + 1e-6 <= best * (1 + 1e-3)
    value, given = _written(blocks, problem, solution, 50)
    assert value == pytest.approx(proof.objective, rel=1e-9)
    assert (given <= [9_000, 11_000, 10_000]).all()
    assert given.sum() <= 28_000


def test_two_kinds_of_users_and_a_floor() -> None:
    """Half the users prefer one promotion, half the other; the budget serves half of them, and a floor asks for the dearer."""
    one, other = _blocks([2.0, 1.0], 1.0, 20_000), _blocks([1.0, 1.5], 1.0, 20_000)
    blocks = (*one, *(Block(4 + b.number, b.value, b.cost, b.cell) for b in other))
    floor = Resource("floor:1", "count", 6_000.0, np.array([0.0, 1.0]), is_floor=True)
    problem = Problem(("0", "1"), (Resource("budget", "cost", 20_000.0, np.ones(2)), floor))
    solution = scheme.solve(LocalScan(blocks, 50), problem, _FEW)
    best = 2.0 * 14_000 + 1.5 * 6_000
    assert best * (1 - 1e-3) <= solution.certificate.objective <= best <= solution.certificate.bound + 1e-6
    value, given = _written(blocks, problem, solution, 50)
    assert value == pytest.approx(solution.certificate.objective, rel=1e-9)
    assert given[1] >= 6_000
    assert given.sum() <= 20_000


def test_a_floor_too_high_for_a_crowd_is_named() -> None:
    blocks = _blocks([2.0, 1.0], 1.0, 20_000)
    floor = Resource("floor:1", "count", 12_000.0, np.array([0.0, 1.0]), is_floor=True)
    problem = Problem(("0", "1"), (Resource("budget", "cost", 10_000.0, np.ones(2)), floor))
    with pytest.raises(scheme.UserError, match="no plan meets every limit"):
        scheme.solve(LocalScan(blocks, 50), problem, _FEW)


def test_luck_follows_the_smoothed_shares() -> None:
    """Of 40,000 users with the same reduced values each promotion is taken by the share that the smoothed dual expects."""
    block, problem = _blocks([1.0, 1.1, 0.9], 0.5, 160_000)[0], _problem([1.0, 1.0, 1.0], 1.0)
    prices = np.array([2.0, 0.0, 0.0, 0.0])
    _, share = dual.shares(block.only(slice(0, 1)), problem, prices, 0.1)
    taken = np.bincount(choose(block.shaken(0.1), problem, prices).option[0] + 1, minlength=4)[1:] / block.users
    assert taken == pytest.approx(share[:, 0], abs=4 * np.sqrt(0.25 / block.users))
