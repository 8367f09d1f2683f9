"""The genetic allocator against brute force and against the scheme: always feasible, its certificate true, the same plan again."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from test_allocation_exact import instances, optimum, plan_of, worth
from test_allocation_job import allocate_promotions, planned, shop

from promoloop import tables
from promoloop.allocation import genetic, scheme
from promoloop.allocation.effort import Effort
from promoloop.allocation.genetic import Evolution
from promoloop.allocation.pricing import Block
from promoloop.allocation.problem import Problem, Resource
from promoloop.allocation.scan import LocalScan
from promoloop.errors import UserError
from promoloop.settings import Settings

_SHORT = Evolution(population=8, generations=4, full_generations=2)


@settings(max_examples=40, deadline=None)
@given(instance=instances())
def test_any_instance_is_planned_within_its_limits_and_under_its_bound(instance: tuple[Block, Problem]) -> None:
    block, problem = instance
    solution = genetic.solve(LocalScan((block,)), problem, Effort(), _SHORT)
    proof, best = solution.certificate, optimum(block, problem)
    own = worth(block, problem, plan_of(block, problem, solution))
    assert own is not None
    assert own == pytest.approx(proof.objective, abs=1e-9)
    assert own <= best + 1e-9
    assert proof.bound >= best - 1e-9


def crowd(users: int = 3000, promotions: int = 5) -> tuple[LocalScan, Problem]:
    """Three blocks of users; a budget and stocks that bind."""
    rng = np.random.default_rng(3)
    blocks = []
    for number in range(3):
        value = rng.gamma(2.0, 1.0, (promotions, users // 3)) * np.linspace(1, 2, promotions)[:, None]
        blocks.append(Block(number, value, rng.uniform(0.5, 2, value.shape), np.zeros(users // 3, np.int16)))
    stocks = [Resource(f"inventory:{p}", "count", users * 0.08, np.eye(promotions)[p]) for p in range(promotions)]
    budget = Resource("budget", "cost", users * 0.3, np.ones(promotions))
    return LocalScan(tuple(blocks), 30), Problem(tuple(str(p) for p in range(promotions)), (budget, *stocks))


def test_it_comes_close_to_the_scheme_and_repeats_itself() -> None:
    scan, problem = crowd()
    effort = Effort(sample_users=600, band_users=300, master_options=400)
    proof = genetic.solve(scan, problem, effort, Evolution(population=16, generations=25)).certificate
    exact = scheme.solve(scan, problem, effort).certificate
    assert (proof.use <= problem.right * (1 + 1e-12)).all()
    assert 0.999 * exact.objective <= proof.objective <= exact.bound
    assert proof.bound >= exact.objective
    assert proof.count_passes == 6
    again = genetic.solve(scan, problem, effort, Evolution(population=16, generations=25)).certificate
    assert (again.objective, again.bound) == (proof.objective, proof.bound)
    assert np.array_equal(again.prices, proof.prices)


def test_breeding_pays() -> None:
    scan, problem = crowd()
    effort = Effort(sample_users=600, band_users=0, master_options=400)
    young, old = (
        genetic.solve(scan, problem, effort, Evolution(16, generations, full_generations=1)).certificate for generations in (1, 30)
    )
    assert old.gap < 0.7 * young.gap


def test_a_floor_nobody_can_meet_is_named() -> None:
    block = Block(0, np.array([[1.0, 2.0]]), np.ones((1, 2)), np.zeros(2, np.int16))
    floor = Resource("floor:promotion:p:offers", "count", 3.0, np.ones(1), is_floor=True)
    with pytest.raises(UserError, match="floor:promotion:p:offers by 1"):
        genetic.solve(LocalScan((block,)), Problem(("p",), (floor,)), Effort(), _SHORT)


def test_without_limits_everybody_gets_their_best() -> None:
    block = Block(0, np.array([[1.0, -2.0, 3.0], [2.0, -1.0, 1.0]]), np.ones((2, 3)), np.zeros(3, np.int16))
    proof = genetic.solve(LocalScan((block,)), Problem(("p", "q"), ()), Effort(), _SHORT).certificate
    assert (proof.objective, proof.gap) == (5.0, 0.0)


def test_the_job_plans_by_it_within_every_limit(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("allocation.budget=100", "allocation.method=genetic", "allocation.genetic_generations=12")
    shop(spark, settings)
    allocate_promotions.run(spark, settings)
    own = {row[0]: row for row in planned(spark, settings).groupBy("promotion_id").agg(F.sum("expected_cost"), F.count("*")).collect()}
    assert sum(cost for _, cost, _ in own.values()) <= 95
    assert all(cost <= 57 for _, cost, _ in own.values())
    assert sum(count for _, _, count in own.values()) > 20
    proof = tables.read(spark, settings, tables.ALLOCATION_RESOURCES).where("resource = 'plan'").collect()[0]
    assert 0 <= proof["gap"] < 0.05
    assert proof["objective"] == pytest.approx(planned(spark, settings).agg(F.sum("value")).collect()[0][0], rel=1e-12)
