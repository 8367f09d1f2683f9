"""More users alike than the driver can serve one by one: no price tells them apart, so chance does.

At prices that are right, users who are all alike are indifferent between several promotions, and all of them would take the same one.
The smoothed dual says which share of them takes which (`dual.shares`); users who choose with luck (`Block.shaken`) take them in just
those shares. Passes then mend what chance and the sample miss of the capacities: every limit's right-hand side in the smoothed dual
moves by what the pass used beyond what was expected. At temperature t a user gives up t log(1 + promotions) at the most, in the mean
(the smoothing's error: Nesterov 2005); every pass lowers it.
"""

from dataclasses import dataclass, replace

import numpy as np

from promoloop.allocation import dual
from promoloop.allocation.effort import Effort
from promoloop.allocation.pricing import choose, total
from promoloop.allocation.problem import Floats, Problem
from promoloop.allocation.rounding import Decision, round_plan
from promoloop.allocation.scan import Answer, Question, Scan, margin_below

_HOTTEST, _COOLING = 1e-4, 0.25  # of a typical value; floats of four bytes still tell the least of such amounts apart
_PASSES = 4


@dataclass(frozen=True)
class Broken:
    """The best plan found, the least bound seen, and the passes that took."""

    best: Decision | None
    bound: float
    count_passes: int


def broken(scan: Scan, problem: Problem, effort: Effort, standing: dual.Sample, found: Broken, share: float) -> Broken:
    """`found` by prices alone, and what users who choose with luck add to it where its gap is wider than asked.

    `share` of a block's users are sent at the most.
    """
    sample, best, bound = standing.block, found.best, found.bound
    scale, ceiling = dual.typical_value(sample), dual.ceilings(sample, problem)
    typical = scale * dual.typical_prices(sample, problem)
    effort = replace(effort, master_options=effort.most_master_options)
    prices, right, temperature, hottest = np.zeros(len(typical)), problem.right, _HOTTEST * scale, 0.2 * scale
    passes = 0
    while passes < _PASSES and (best is None or bound - best.objective > effort.gap * abs(bound)):
        passes += 1
        prices = dual.solve(standing, problem, right, prices, ceiling, temperature, hottest)
        margin = margin_below(sample.shaken(temperature), problem, prices, scan.users, effort.band_users)
        answer = scan.price(problem, [Question(prices, margin, share, temperature)])[0]
        bound = min(bound, answer.surplus + float(prices @ problem.right))
        penalty, slack = dual.penalties(prices, typical, ceiling), effort.gap * abs(bound) / 4
        decision, _ = round_plan(answer, problem, prices, penalty, effort, slack, may_drop=True)
        if decision is not None and (best is None or decision.objective > best.objective):
            best = replace(decision, temperature=temperature)
        expected = problem.right - dual.smoothed(standing, problem, problem.right, prices, temperature, False).gradient
        right = problem.right - (_used(answer, problem, prices) - expected)
        hottest, temperature = temperature, temperature * _COOLING
    return Broken(best, bound, found.count_passes + passes)


def _used(answer: Answer, problem: Problem, prices: Floats) -> Floats:
    """Signed use of each resource by what all users take, the undecided among them."""
    block = answer.band.block
    option = choose(block, problem, prices).option
    own = total(block, option, problem, prices, np.zeros(block.users, np.int64), 1)
    return np.asarray(answer.use.sum(0) + problem.use(own.cost, own.count)[0])
