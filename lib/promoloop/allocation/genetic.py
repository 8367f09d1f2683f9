"""A genetic algorithm as an allocator, behind the same blocks, the same rounding and the same certificate as `scheme`.

    genome   one gene g in [0, 0.99] per resource; its price is unit * g / (1 - g), unit = a typical value / a typical use
    fitness  - bound:  what every user's best choice at those prices is worth beyond them + prices · capacities

No plan can be worth more than the bound at any prices (weak duality), and at the prices with the least bound the plan of best choices
keeps the limits, all but its ties. So prices are bred for the least bound, which, unlike the value of a plan fined for its overuse, is
convex: every step towards the best prices is a better genome. The passes over all users prove the gap by the way.

A population is one pass with as many price vectors. It evolves on a sample that fits the driver, its capacities scaled down, then
for a few passes on all users. The fittest are made whole by `rounding`, which breaks no limit; a last pass asks at the duals of that.

Tournaments, simulated binary crossover, polynomial mutation: Deb and Agrawal 1995, by pymoo (Blank and Deb 2020).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.problem import Problem as Search

from promoloop.allocation import dual
from promoloop.allocation.effort import Effort
from promoloop.allocation.master import Mixture
from promoloop.allocation.problem import Floats, Problem
from promoloop.allocation.rounding import Decision, round_plan
from promoloop.allocation.scan import Answer, LocalScan, Question, Scan
from promoloop.allocation.scheme import Certificate, Solution, shortfalls
from promoloop.errors import UserError

_MOST_GENE = 0.99
_NO_BAND = -1.0  # a margin nobody's is below: the pass sends nobody to the driver


@dataclass(frozen=True)
class Evolution:
    """How long to breed: genomes at a time, generations on the sample, then on all users, and how many of the best to make whole."""

    population: int = 32
    generations: int = 60
    full_generations: int = 4
    finalists: int = 3
    seed: int = 7


@dataclass(frozen=True)
class _Ground:
    """Where genomes are judged: on a sample, or on all users."""

    scan: Scan
    problem: Problem
    unit: Floats

    def prices(self, genes: Floats) -> Floats:
        """The prices that genes stand for."""
        return np.asarray(self.unit * genes / (1 - genes))

    def bounds(self, genes: Floats) -> Floats:
        """Dual bound of each genome (rows), from one pass."""
        priced = self.prices(genes)
        answers = self.scan.price(self.problem, [Question(prices, _NO_BAND) for prices in priced])
        return np.array(_bounds(answers, list(priced), self.problem))


def solve(scan: Scan, problem: Problem, effort: Effort, evolution: Evolution, clock: Callable[[], float] = perf_counter) -> Solution:
    """Solve the programme over the blocks of `scan` by evolving prices. Raises UserError where no genome's plan meets every floor."""
    sample = scan.sample(effort.sample_users)
    unit = dual.typical_value(sample) * dual.typical_prices(sample, problem)
    share = sample.users / max(scan.users, 1)
    ground = _Ground(LocalScan((sample,)), problem.scaled(share), unit)
    genes, bound = _bred(ground, None, evolution.generations, evolution)
    started, passes = clock(), 2
    whole = _Ground(scan, problem, unit)
    if share < 1:
        genes, bound = _bred(whole, genes, evolution.full_generations, evolution)
        passes += evolution.full_generations
    finalists = [whole.prices(one) for one in genes[: evolution.finalists]]
    band = min(1.0, effort.band_users / max(scan.users, 1))
    answers = scan.price(problem, [Question(prices, float("inf"), band) for prices in finalists])
    bound = min(bound, *_bounds(answers, finalists, problem))
    best, mixtures = _best_whole(answers, finalists, problem, unit, effort, bound)
    duals = [mixture.prices for mixture in mixtures]
    bound = min(bound, *_bounds(scan.price(problem, [Question(prices, _NO_BAND) for prices in duals]), duals, problem))
    seconds = clock() - started
    if best is None:
        short = ", ".join(shortfalls(mixtures[0].slack, problem))
        raise UserError(f"no plan the genetic search found meets every limit: {short}")
    return Solution(best, Certificate(best.objective, max(bound, best.objective), best.use, best.prices, passes, seconds / passes))


def _bounds(answers: Sequence[Answer], prices: Sequence[Floats], problem: Problem) -> list[float]:
    """What no plan can exceed, by the answer to each prices."""
    return [float(answer.surplus + own @ problem.right) for answer, own in zip(answers, prices, strict=True)]


class _Search(Search):  # type: ignore[misc]  # pymoo is untyped
    """pymoo's view of a ground; keeps the least bound seen."""

    def __init__(self, ground: _Ground) -> None:
        super().__init__(n_var=len(ground.unit), n_obj=1, xl=0.0, xu=_MOST_GENE)
        self.ground = ground
        self.bound = np.inf

    def _evaluate(self, x: Floats, out: dict[str, Any], *_: object, **__: object) -> None:
        out["F"] = self.ground.bounds(x)
        self.bound = min(self.bound, float(out["F"].min()))


def _bred(ground: _Ground, start: Floats | None, generations: int, evolution: Evolution) -> tuple[Floats, float]:
    """The last population, fittest first, and the least dual bound met; from `start`, or from scratch."""
    if not len(ground.unit):
        return np.zeros((1, 0)), float(ground.bounds(np.zeros((1, 0)))[0])
    search = _Search(ground)
    first = _first(len(ground.unit), evolution) if start is None else start
    breeder = GA(pop_size=evolution.population, sampling=first, eliminate_duplicates=True)
    breeder.setup(search, termination=("n_gen", generations), seed=evolution.seed, verbose=False)
    while breeder.has_next():
        breeder.next()
    order = np.argsort(breeder.pop.get("F")[:, 0], kind="stable")
    return np.asarray(breeder.pop.get("X"))[order], search.bound


def _first(resources: int, evolution: Evolution) -> Floats:
    """Nothing scarce, everything equally scarce at several levels, and the rest at random: most prices zero, some not."""
    rng = np.random.default_rng([evolution.seed, resources])
    genes = rng.uniform(0, 0.75, (evolution.population, resources)) * (rng.random((evolution.population, resources)) < 0.5)
    levels = np.linspace(0, 0.75, min(6, evolution.population))
    genes[: len(levels)] = levels[:, None]
    return np.asarray(genes)


def _best_whole(
    answers: Sequence[Answer], finalists: Sequence[Floats], problem: Problem, unit: Floats, effort: Effort, bound: float
) -> tuple[Decision | None, list[Mixture]]:
    """The best integer plan of the finalists, and the master's answer to each."""
    best, mixtures = None, []
    for answer, prices in zip(answers, finalists, strict=True):
        slack = effort.gap * max(abs(bound), 1e-12) / 4
        decision, mixture = round_plan(answer, problem, prices, 4 * prices + unit, effort, slack, True)
        mixtures.append(mixture)
        if decision is not None and (best is None or decision.objective > best.objective):
            best = decision
    return best, mixtures
