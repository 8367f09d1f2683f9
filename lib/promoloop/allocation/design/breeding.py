"""NSGA-II over designs (Deb, Pratap, Agarwal and Meyarivan 2002, by pymoo): the front of profit against satisfaction.

genome   five whole numbers per candidate: run it (0, 1), places of its depth, threshold and window, place of its budget's level
"""

import logging
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as Search
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair

from promoloop.allocation.design.designs import Design, Front, today
from promoloop.allocation.design.ground import Ground
from promoloop.allocation.pricing import Array
from promoloop.settings.plan import DesignSettings

_GENES = 5
_log = logging.getLogger("promoloop.design")


class _Search(Search):  # type: ignore[misc]  # pymoo is untyped
    """pymoo's view of a ground: it minimises; a design met again is not judged again."""

    def __init__(self, ground: Ground, own: DesignSettings) -> None:
        sizes = (2, len(own.depths), len(own.thresholds), len(own.days), len(own.budget_levels))
        upper = np.tile(np.array(sizes) - 1, len(ground.candidates))
        super().__init__(n_var=len(upper), n_obj=2, xl=np.zeros(len(upper)), xu=upper, vtype=int)
        self.ground = ground
        self.levels = own.budget_levels
        self.menu = _places(ground, sizes[1:4])
        self.known: dict[tuple[Any, ...], Design] = {}

    def decoded(self, genome: Array) -> Design:
        """The design a genome stands for, judged."""
        genes = np.rint(genome).astype(int).reshape(-1, _GENES)
        variants = tuple(int(self.menu[place, d, t, w]) if is_run else -1 for place, (is_run, d, t, w, _) in enumerate(genes.tolist()))
        budgets = tuple(self._budget(level) if variant >= 0 else None for level, variant in zip(genes[:, 4], variants, strict=True))
        key = (variants, budgets)
        if key not in self.known:
            self.known[key] = Design(variants, budgets, self.ground.judge(variants, budgets))
        return self.known[key]

    def _budget(self, level: int) -> float | None:
        share = self.levels[level]
        return None if share >= 1 else share * self.ground.money

    def _evaluate(self, x: Array, out: dict[str, Any], *_: object, **__: object) -> None:
        judged = [self.decoded(genome).judged for genome in x]
        out["F"] = np.array([[-one.profit, -one.satisfaction] for one in judged])


def _places(ground: Ground, sizes: tuple[int, ...]) -> Array:
    """Candidates x depths x thresholds x windows: the variant's place, -1: none; forms without thresholds have one for all."""
    menu = np.full((len(ground.candidates), *sizes), -1)
    own = {promotion["promotion_id"]: place for place, promotion in enumerate(ground.candidates)}
    for number, one in enumerate(ground.variants):
        if one.levels is None:
            continue
        depth, threshold, window = one.levels
        is_for_all = one.terms["form"] not in ("discount", "spend_threshold")
        menu[own[one.promotion_id], depth, slice(None) if is_for_all else threshold, window] = number
    return menu


def bred(ground: Ground, own: DesignSettings, seed: int) -> Front:
    """Breed designs; each generation is told to the log `promoloop.design`."""
    search = _Search(ground, own)
    repair, genes = RoundingRepair(), _first(search, own.population, seed)
    crossover = SBX(prob=0.9, eta=3.0, vtype=float, repair=repair)
    breeder = NSGA2(pop_size=own.population, sampling=genes, crossover=crossover, mutation=PM(eta=3.0, vtype=float, repair=repair))
    breeder.setup(search, termination=("n_gen", own.generations), seed=seed, verbose=False)
    generation = 0
    while breeder.has_next():
        breeder.next()
        generation += 1
        best = -np.asarray(breeder.pop.get("F")).min(0)
        _log.info("generation %d of %d: profit up to %.0f, satisfaction up to %.0f", generation, own.generations, *best)
    ahead = [_without_idle(ground, one) for one in _unbeaten(list(search.known.values()))]
    return Front(_unbeaten(ahead), today(ground))


def _first(search: _Search, population: int, seed: int) -> Array:
    """Everything at the middle of its levels; then at random, from few promotions running to all."""
    rng = np.random.default_rng([seed, population])
    upper = np.asarray(search.xu).astype(int)
    genes = rng.integers(0, upper + 1, (population, len(upper)))
    runs = rng.random((population, len(upper) // _GENES)) < np.linspace(0.1, 1, population)[:, None]
    genes[:, ::_GENES] = runs
    genes[0] = np.where(np.arange(len(upper)) % _GENES == 0, 1, upper // 2)
    return genes


def _without_idle(ground: Ground, design: Design) -> Design:
    """The design without promotions that not one user of the sample would be given: a design is not to run what nobody gets."""
    is_idle = (design.judged.offers < ground.sampled.weight).tolist()
    variants = tuple(-1 if idle else variant for variant, idle in zip(design.variants, is_idle, strict=True))
    budgets = tuple(None if idle else budget for budget, idle in zip(design.budgets, is_idle, strict=True))
    return design if variants == design.variants else Design(variants, budgets, ground.judge(variants, budgets))


def _unbeaten(designs: list[Design]) -> tuple[Design, ...]:
    """Of all designs met, those that no other beats in both aims; the most profitable first."""
    order = sorted(designs, key=lambda one: (-one.judged.profit, -one.judged.satisfaction, one.variants, str(one.budgets)))
    kept: list[Design] = []
    for one in order:
        if not kept or one.judged.satisfaction > kept[-1].judged.satisfaction:
            kept.append(one)
    return tuple(kept)
