"""From offer scores to a plan: the whole step, in order."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
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
from promoloop.settings.plan import AllocationSettings


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
    is_left_out = arms.is_left_out(F.col("user_id"), run_id, shares.explore_share, shares.holdout_share)
    values = applied(scores.transform(valued, own).where(~is_left_out), promotions, lately, own)
    memory = Memory(scores.sparkSession, _progress(settings), _key(settings, inputs))
    known = [row.asDict() for row in promotions.collect()]
    found = planned(values, known, own, shares.explore_reserve, settings.run.seed, blocks_folder(settings), memory)
    if found is None:
        raise UserError(f"no offer scores of {settings.run.as_of} to plan with: nobody may get any promotion")
    rows = found.scan.plan(found.problem, found.solution.decision).transform(add_reasons)
    rows = rows.withColumns({"run_id": F.lit(run_id), "as_of_on": F.lit(settings.run.as_of)})
    resources = describe(found.problem, found.solution.certificate, run_id, kinds_used(own))
    return Plan(rows, resources, found.solution.certificate, found.scan.users)


def blocks_folder(settings: Settings, is_design: bool = False) -> str:
    """Where the blocks of the newest plan lie, or of the newest design."""
    return f"{settings.paths.checkpoints}/{'design' if is_design else 'allocation/blocks'}"


def _progress(settings: Settings) -> str:
    return f"{settings.paths.checkpoints}/allocation/progress"


def clear(spark: SparkSession, settings: Settings) -> None:
    """Empty the folders of blocks: they name everybody planned for. A solve that was killed begins anew."""
    if BlockScan.erase(spark, blocks_folder(settings)):
        Memory(spark, _progress(settings), "").forget()
    BlockScan.erase(spark, blocks_folder(settings, is_design=True))


@dataclass(frozen=True)
class Planned:
    """The programme as it was solved, its solution, and the blocks it was solved on."""

    problem: Problem
    solution: Solution
    scan: BlockScan


def planned(
    values: DataFrame,
    promotions: Sequence[Mapping[str, Any]],
    own: AllocationSettings,
    reserve: float,
    seed: int,
    scratch: str,
    memory: Memory | None = None,
) -> Planned | None:
    """Pack `values` (user_id, promotion_id, value, cost, kinds of user, most) under the folder `scratch` and solve; None: nobody there."""
    there = offered(values, own)
    if not there.users:
        return None
    layout = Layout.of(tuple(there.promotion_ids), there.users, own.block_users)
    if memory is None or not memory.has_blocks:
        if memory is not None:
            memory.forget()
        BlockScan.write(values.transform(add_cells, there.cells), layout, scratch)
        if memory is not None:
            memory.save(None)
    scan = BlockScan.opened(values.sparkSession, layout, scratch)
    known = [promotion for promotion in promotions if promotion["promotion_id"] in layout.names]
    users_by_cell = scan.users_by_cell(max(1, len(there.cells))) if has_disparity(own) else None
    problem = problem_of(known, own, reserve, there.cells, users_by_cell)
    effort = Effort(own.sample_users, gap=own.gap, max_passes=own.max_passes, solver=own.solver)
    if problem.minimums is None:
        return Planned(problem, allocate(scan, problem, effort, own, seed, memory), scan)
    return Planned(*solve_running(lambda one: allocate(scan, one, effort, own, seed), counting(problem, scan.users)), scan)


def _key(settings: Settings, inputs: Mapping[str, int]) -> str:
    """Names all that decides a plan."""
    sections = (settings.allocation, settings.execution)
    said = [settings.run.run_id, str(settings.run.seed), str(settings.run.as_of), settings.paths.tables, repr(sorted(inputs.items()))]
    return hashlib.sha256("\n".join([*said, *(section.model_dump_json() for section in sections)]).encode()).hexdigest()
