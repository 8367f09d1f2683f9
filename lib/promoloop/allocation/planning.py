"""From offer scores to a plan: the whole step, in order."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.allocation.blocks import BlockScan
from promoloop.allocation.cadence import applied
from promoloop.allocation.effort import Effort
from promoloop.allocation.limits import problem_of
from promoloop.allocation.memory import Memory
from promoloop.allocation.methods import allocate
from promoloop.allocation.packing import Layout
from promoloop.allocation.problem import Problem
from promoloop.allocation.reasons import add_reasons
from promoloop.allocation.running import counting, solve_running
from promoloop.allocation.scheme import Certificate, Solution
from promoloop.allocation.telling import describe
from promoloop.allocation.values import add_cells, has_disparity, kinds_used, offered, valued
from promoloop.errors import UserError
from promoloop.offers import arms
from promoloop.settings import Settings


@dataclass(frozen=True)
class Plan:
    """Rows of allocations and of allocation_resources, the certificate, and how many users were planned for."""

    allocations: DataFrame
    resources: list[dict[str, Any]]
    certificate: Certificate
    users: int


def plan(scores: DataFrame, promotions: DataFrame, lately: DataFrame | None, settings: Settings, inputs: Mapping[str, int]) -> Plan:
    """Plan for the users of `scores` (offer_scores of the day) who are not held out and do not explore.

    `lately`: what was sent before (`cadence.recent`). `inputs`: versions of the tables behind it all; a solve that was killed goes on
    where they and the settings are the same. Raises UserError where there is nothing to plan, or no plan that keeps the limits.
    """
    run_id, own, shares = settings.run.run_id, settings.allocation, settings.execution
    user = F.col("user_id")
    is_left_out = arms.is_explorer(user, run_id, shares.explore_share) | arms.is_holdout(user, shares.holdout_share)
    values = applied(scores.transform(valued, own).where(~is_left_out), promotions, lately, own)
    there = offered(values, own)
    if not there.users:
        raise UserError(f"no offer scores of {settings.run.as_of} to plan with: nobody may get any promotion")
    celled = values.transform(add_cells, there.cells)
    scratch = f"{settings.paths.checkpoints}/allocation"
    memory = Memory(scores.sparkSession, f"{scratch}/progress", _key(settings, inputs))
    names, blocks = tuple(there.promotion_ids), f"{scratch}/blocks"
    layout = Layout.of(names, there.users, own.block_users)
    if not memory.has_blocks:
        memory.forget()
        BlockScan.write(celled, layout, blocks)
        memory.save(None)
    scan = BlockScan.opened(scores.sparkSession, layout, blocks)
    known = [row.asDict() for row in promotions.where(F.col("promotion_id").isin(*names)).collect()]
    users_by_cell = scan.users_by_cell(max(1, len(there.cells))) if has_disparity(own) else None
    problem = problem_of(known, own, shares.explore_reserve, there.cells, users_by_cell)
    problem, solution = _solved(scan, problem, settings, memory)
    planned = scan.plan(problem, solution.decision).transform(add_reasons)
    planned = planned.withColumns({"run_id": F.lit(run_id), "as_of_on": F.lit(settings.run.as_of)})
    resources = describe(problem, solution.certificate, run_id, kinds_used(own))
    return Plan(planned, resources, solution.certificate, scan.users)


def _solved(scan: BlockScan, problem: Problem, settings: Settings, memory: Memory) -> tuple[Problem, Solution]:
    own, seed = settings.allocation, settings.run.seed
    effort = Effort(own.sample_users, gap=own.gap, max_passes=own.max_passes, solver=own.solver)
    if problem.minimums is None:
        return problem, allocate(scan, problem, effort, own, seed, memory)
    return solve_running(lambda one: allocate(scan, one, effort, own, seed), counting(problem, scan.users))


def _key(settings: Settings, inputs: Mapping[str, int]) -> str:
    """Names all that decides a plan."""
    sections = (settings.allocation, settings.execution)
    said = [settings.run.run_id, str(settings.run.seed), str(settings.run.as_of), settings.paths.tables, repr(sorted(inputs.items()))]
    return hashlib.sha256("\n".join([*said, *(section.model_dump_json() for section in sections)]).encode()).hexdigest()
