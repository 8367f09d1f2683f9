"""The scheme: prices from a sample, full passes, the undecided in the master, an integer plan with a certificate.

1. A sample of users that fits the driver is priced exactly (`dual`). It stands in for the whole.
2. A full pass at its prices returns the dual bound, what the decided users use, and the users whose best two choices are
   nearly tied: the *undecided*.
3. The master (`master`) gives the undecided what the decided leave over. Where it can meet every resource its value is that of
   a plan, its duals are the next prices, and bound less value is the gap. Where it cannot, the next prices come from the
   undecided (each counting once) together with the rest of the sample (each standing for many), the right-hand sides shifted
   by what the pass showed the sample to be wrong by (Shamir, Srebro and Zhang 2014, DANE).
4. Rounding (`rounding`): the master leaves at most one fractional user per binding resource.
5. Where more users are tied than the driver can serve, chance tells them apart (`ties`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np

from promoloop.allocation import dual, ties
from promoloop.allocation.effort import Effort
from promoloop.allocation.pricing import choose, total
from promoloop.allocation.problem import Floats, Problem
from promoloop.allocation.rounding import Decision, round_plan
from promoloop.allocation.scan import Answer, Question, Scan, margin_below, stack
from promoloop.errors import UserError

_PATIENCE = 3  # passes without progress after which the gap is what whole users leave, not what prices can mend
_PROGRESS = 1e-7  # relative
_CROWDED = 3  # times the users wanted, before a block sends only its most nearly tied
_TIED = 1e-3  # relative gap that further prices do not close where more users are tied than are sent
_SETTLED = 0.02  # share of the gap that better prices could still close; the rest is what whole users leave


@dataclass(frozen=True)
class Certificate:
    """What is proved of a plan: value, bound no plan exceeds, use of each resource, prices, and the effort it took."""

    objective: float
    bound: float
    use: Floats
    prices: Floats
    count_passes: int
    seconds_per_pass: float

    @property
    def gap(self) -> float:
        """(bound - objective) / bound; 0 where nothing can be gained."""
        return max(0.0, self.bound - self.objective) / max(abs(self.bound), 1e-12)


@dataclass(frozen=True)
class Solution:
    """An integer plan: everyone decides by `decision.prices`, but for the users and parts it lists."""

    decision: Decision
    certificate: Certificate


@dataclass(frozen=True)
class Progress:
    """How far a solve has come after some passes: all that the next pass needs."""

    candidates: list[Floats]
    bound: float
    best: Decision | None
    proven: list[float]
    count_passes: int
    seconds: float
    is_done: bool = False
    crowd: int = 0  # undecided users whom the last pass did not send
    missing: tuple[str, ...] = ()  # what no plan could do without, by the last pass


class Remembers(Protocol):
    """Keeps the progress of a solve, so that one that was killed goes on."""

    def load(self) -> Progress | None:
        """What was saved last."""
        ...

    def save(self, progress: Progress) -> None:
        """Called after every pass."""
        ...


def solve(
    scan: Scan, problem: Problem, effort: Effort, clock: Callable[[], float] = perf_counter, memory: Remembers | None = None
) -> Solution:
    """Solve the programme over the blocks of `scan`; go on from what `memory` holds."""
    sample = scan.sample(effort.sample_users)
    scale, ceiling = dual.typical_value(sample), dual.ceilings(sample, problem)
    typical = scale * dual.typical_prices(sample, problem)
    weight = scan.users / max(sample.users, 1)
    standing = dual.Sample(sample, np.full(sample.users, weight))
    before = memory.load() if memory is not None else None
    if before is None:
        prices = dual.solve(standing, problem, problem.right, np.zeros(len(problem.resources)), ceiling, 2e-4 * scale, 0.2 * scale)
        before = Progress([prices], np.inf, None, [], 0, 0.0)
    candidates, bound, best, proven = before.candidates, before.bound, before.best, list(before.proven)
    passes, seconds, is_done = before.count_passes, before.seconds, before.is_done
    crowd, missing = before.crowd, before.missing
    share = min(1.0, _CROWDED * effort.band_users / max(scan.users, 1))
    while passes < effort.max_passes and not is_done:
        started = clock()
        margins = [margin_below(sample, problem, p, scan.users, effort.band_users) for p in candidates]
        answers = scan.price(problem, [Question(p, margin, share) for p, margin in zip(candidates, margins, strict=True)])
        seconds += clock() - started
        passes += 1
        bounds = [a.surplus + float(p @ problem.right) for a, p in zip(answers, candidates, strict=True)]
        which = int(np.argmin(bounds))
        answer, prices, crowd = answers[which], candidates[which], answers[which].crowd
        if bounds[which] < bound:
            bound = bounds[which]
        penalty = dual.penalties(prices, typical, ceiling)
        unit = max(abs(bound), 1e-12)
        decision, mixture = round_plan(answer, problem, prices, penalty, effort, effort.gap * unit / 4, passes == effort.max_passes)
        if decision is not None and (best is None or decision.objective > best.objective):
            best = decision
        if best is not None:
            proven.append(bound - best.objective)
            has_stalled = len(proven) > _PATIENCE and proven[-1 - _PATIENCE] - proven[-1] <= _PROGRESS * unit
            is_fractional = mixture.slack.max(initial=0.0) <= 1e-9 and bound - mixture.objective <= _SETTLED * proven[-1]
            is_done = proven[-1] <= effort.gap * unit or has_stalled or is_fractional
        is_done = is_done or (crowd > 0 and (best is None or proven[-1] > _TIED * unit))
        missing = tuple(shortfalls(mixture.slack, problem))
        if not is_done and passes < effort.max_passes:
            feasible = [mixture.prices] if mixture.slack.max(initial=0.0) <= 1e-9 else []
            candidates = [*feasible, _shifted(standing, answer, problem, prices, ceiling, scale)]
        if memory is not None:
            memory.save(Progress(candidates, bound, best, proven, passes, seconds, is_done, crowd, missing))
    if crowd:
        started = clock()
        more = ties.broken(scan, problem, effort, standing, ties.Broken(best, bound, passes), share)
        best, bound, passes, seconds = more.best, more.bound, more.count_passes, seconds + clock() - started
    if best is None:
        raise UserError("no plan meets every limit; the least that would have to give way: " + ", ".join(missing))
    return Solution(best, Certificate(best.objective, max(bound, best.objective), best.use, best.prices, passes, seconds / max(passes, 1)))


def _shifted(standing: dual.Sample, answer: Answer, problem: Problem, prices: Floats, ceiling: Floats, scale: float) -> Floats:
    """Prices from the band (exact) and the rest of the sample (standing for many), corrected by what the pass saw."""
    band, block = answer.band, standing.block
    choices = choose(block, problem, prices)
    outside = np.nonzero(choices.margin >= _widest(answer, problem, prices))[0]
    rest, option = block.only(outside), choices.option[:, outside]
    here = np.zeros(len(outside), np.int64)
    assumed = total(rest, option, problem, prices, here, 1)
    weight = float(standing.weight[0]) if len(standing.weight) else 1.0
    right = problem.right - answer.use.sum(0) + weight * problem.use(assumed.cost, assumed.count)[0]
    both = stack([band.block, rest])
    weights = np.concatenate([np.ones(band.users), np.full(len(outside), weight)])
    return dual.solve(dual.Sample(both, weights), problem, right, prices, ceiling, 1e-4 * scale, 2e-3 * scale)


def _widest(answer: Answer, problem: Problem, prices: Floats) -> float:
    """The largest margin in the band."""
    band = answer.band
    if not band.users:
        return 0.0
    return float(choose(band.block, problem, prices).margin.max())


def shortfalls(slack: Floats, problem: Problem) -> list[str]:
    """The resources that give way by `slack`, how much, and what would do."""
    said = []
    for resource, much in zip(problem.resources, slack, strict=True):
        if much > 1e-7 * max(1.0, abs(resource.capacity)):
            would_do = resource.capacity - much if resource.is_floor else resource.capacity + much
            said.append(f"{resource.name} by {much:.6g} (to {would_do:.6g} from {resource.capacity:.6g})")
    return said
