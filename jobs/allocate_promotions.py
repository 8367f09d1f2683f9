"""offer_scores, promotions -> allocations, allocation_resources."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import allocation, launch, tables
from promoloop.errors import UserError
from promoloop.launch import Outcome
from promoloop.offers import arms
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Give each user at most one promotion, within every limit, and prove how good the plan is."""
    run_id, as_of, own, shares = settings.run.run_id, settings.run.as_of, settings.allocation, settings.execution
    scores = tables.read(spark, settings, tables.OFFER_SCORES).where(F.col("as_of_on") == F.lit(as_of))
    is_explorer = arms.is_explorer(F.col("user_id"), run_id, shares.explore_share)
    values = scores.transform(allocation.valued, own).where(~is_explorer)
    offered = allocation.offered(values, own)
    if not offered.users:
        raise UserError(f"no offer scores of {as_of}: nobody may get any promotion")
    promotions = tables.read(spark, settings, tables.PROMOTIONS).where(F.col("promotion_id").isin(offered.promotion_ids)).collect()
    problem = allocation.problem_of([row.asDict() for row in promotions], own, shares.explore_reserve, offered.cells)
    scratch = f"{settings.paths.checkpoints}/allocation"
    celled = values.transform(allocation.add_cells, offered.cells)
    scan = allocation.BlockScan.of(celled, problem.promotions, offered.users, own.block_users, scratch)
    effort = allocation.Effort(own.sample_users, gap=own.gap, max_passes=own.max_passes, solver=own.solver)
    solution = allocation.allocate(scan, problem, effort, own, settings.run.seed)
    plan = scan.plan(problem, solution.decision).transform(allocation.add_reasons)
    plan = plan.withColumns({"run_id": F.lit(run_id), "as_of_on": F.lit(as_of)})
    written = tables.replace_run(plan, settings, tables.ALLOCATIONS, run_id)
    certificate = allocation.describe(problem, solution.certificate, run_id)
    described = spark.createDataFrame(certificate, tables.ALLOCATION_RESOURCES.schema)
    tables.replace_run(described, settings, tables.ALLOCATION_RESOURCES, run_id)
    proof = solution.certificate
    figures = {"objective": proof.objective, "bound": proof.bound, "gap": proof.gap, "passes": proof.count_passes}
    return Outcome(rows_in=scan.users, rows_out=written, figures=figures)


if __name__ == "__main__":
    launch.main(run)
