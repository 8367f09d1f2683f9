"""The allocators there are, by the name the settings give them: same blocks in, same certified integer plan out."""

from promoloop.allocation import genetic, scheme
from promoloop.allocation.effort import Effort
from promoloop.allocation.problem import Problem
from promoloop.allocation.scan import Scan
from promoloop.allocation.scheme import Remembers, Solution
from promoloop.settings.plan import AllocationSettings


def allocate(scan: Scan, problem: Problem, effort: Effort, own: AllocationSettings, seed: int, memory: Remembers | None = None) -> Solution:
    """Solve by `own.method`: prices (`scheme`, going on from what `memory` holds) or genetic (`genetic`, drawing from `seed`)."""
    if own.method == "genetic":
        evolution = genetic.Evolution(own.genetic_population, own.genetic_generations, seed=seed)
        return genetic.solve(scan, problem, effort, evolution)
    return scheme.solve(scan, problem, effort, memory=memory)
