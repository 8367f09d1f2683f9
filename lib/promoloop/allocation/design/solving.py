"""The chosen design solved in full: every user, every limit, an integer plan with its certificate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.allocation.cadence import applied
from promoloop.allocation.design.designs import Front
from promoloop.allocation.planning import planned
from promoloop.allocation.problem import Problem
from promoloop.allocation.scheme import Certificate
from promoloop.allocation.values import valued
from promoloop.errors import UserError
from promoloop.settings.plan import AllocationSettings


@dataclass(frozen=True)
class Solved:
    """What the plan is expected to bring: money, and satisfaction; with its proof."""

    problem: Problem
    certificate: Certificate
    profit: float
    satisfaction: float
    offers: int


def solved(
    scored: DataFrame,
    lately: DataFrame | None,
    promotions: Sequence[Mapping[str, Any]],
    own: AllocationSettings,
    total: float,
    reserve: float,
    scratch: str,
    seed: int,
) -> Solved:
    """Plan `promotions` for all users of `scored` (rows of offer_scores, none left out) within `total` (money, before the reserve).

    `lately`: what was sent before (`cadence.recent`).
    """
    forms = [(one["promotion_id"], one["form"]) for one in promotions]
    formed = scored.sparkSession.createDataFrame(forms, "promotion_id string, form string")
    values = applied(scored.transform(valued, own), formed, lately, own)
    found = planned(values, promotions, own.model_copy(update={"budget": total}), reserve, seed, scratch)
    if found is None:
        raise UserError("the chosen design runs no promotion that anybody may get")
    problem, solution, scan = found.problem, found.solution, found.scan
    plan = scan.plan(problem, solution.decision).select("user_id", "promotion_id")
    sums = plan.join(scored, ["user_id", "promotion_id"]).agg(F.sum("expected_profit"), F.sum("satisfaction"), F.count("*")).first()
    profit, satisfaction, offers = sums if sums is not None else (None, None, 0)
    return Solved(problem, solution.certificate, float(profit or 0.0), float(satisfaction or 0.0), int(offers))


def figures(front: Front, number: int, found: Solved) -> dict[str, float | int | str]:
    """For the summary: the chosen design as judged on the sample and as solved in full, beside today's promotions."""
    design = front.numbered(number).judged
    return {
        "designs_on_front": len(front.designs),
        "chosen": number,
        "profit_today": front.today.judged.profit,
        "satisfaction_today": front.today.judged.satisfaction,
        "profit_judged": design.profit,
        "satisfaction_judged": design.satisfaction,
        "profit_solved": found.profit,
        "satisfaction_solved": found.satisfaction,
        "offers": found.offers,
        "gap": found.certificate.gap,
    }
