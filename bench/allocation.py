"""The allocation, measured: an integer plan with its proof, on synthetic scores in packed blocks.

    python bench/allocation.py [--users 100000] [--promotions 20] [--hard | --alike] [--contest] [--scaling] [--matching]

gap, violations (by SQL over the plan's rows), passes, total_over_pass (solve and plan, over one pass at one price vector),
pass_over_numpy (a pass over eight price vectors, times cores, over the same arithmetic in one thread of plain numpy),
single_over_numpy (the same for one vector), driver_mib (growth of this process). --contest: one row a method on the same instance.
--alike: every user the same, everything a tie. --scaling: time_exponent between a hundredth of --users and --users. --matching: many
capped items instead (allocation_matching.py).
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import allocation_contest
import allocation_instance as instance
import figures
import numpy as np
from pyspark.sql import functions as F

from promoloop import session
from promoloop.allocation import BlockScan, Effort, Solution, solve
from promoloop.allocation.problem import Problem
from promoloop.allocation.scan import Question, answer
from promoloop.settings import load

_UNITS = dict.fromkeys(("violations", "matching_violations", "passes", "matching_passes"), "count") | {
    "gap": "share", "matching_gap": "share", "seconds": "s", "matching_seconds": "s", "driver_mib": "MiB", "contest": "method",
    "time_exponent": "exponent",
}  # fmt: skip


def say(name: str, value: object, size: object = None, **more: object) -> None:
    figures.say("allocation", name, value, _UNITS.get(name, "times"), size, **more)


def rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def violations(scan: BlockScan, problem: Problem, solution: Solution) -> tuple[int, float, float]:
    """Limits broken by the plan's own rows, its value by SQL, and the seconds that took."""
    start = time.perf_counter()
    rows = scan.plan(problem, solution.decision).groupBy("promotion_id")
    own = {r[0]: r for r in rows.agg(F.sum("cost"), F.count("*"), F.sum("value"), F.count_distinct("user_id") - F.count("*")).collect()}
    broken = sum(r[4] != 0 for r in own.values())
    for limit in problem.resources:
        which = [name for name, has in zip(problem.promotions, limit.by_promotion, strict=True) if has and name in own]
        used = sum(own[name][1 if limit.quantity == "cost" else 2] for name in which)
        broken += used > limit.capacity * (1 + 1e-12)
    return broken, sum(r[3] for r in own.values()), time.perf_counter() - start


def pass_seconds(scan: BlockScan, problem: Problem, prices: list[np.ndarray]) -> float:
    """The faster of two passes."""
    questions = [Question(price, 0.0) for price in prices]
    times = []
    for _ in range(2):
        start = time.perf_counter()
        scan.price(problem, questions)
        times.append(time.perf_counter() - start)
    return min(times)


def numpy_seconds(problem: Problem, users: int, promotions: int, kind: np.dtype, prices: list[np.ndarray]) -> float:
    """The same arithmetic in this thread: three blocks, scaled to all users."""
    blocks = [instance.block(number, min(users, instance.BLOCK_USERS), promotions, kind) for number in range(3)]
    start = time.perf_counter()
    for block in blocks:
        for price in prices:
            answer(block, problem, Question(price, 0.0), 1)
    return (time.perf_counter() - start) * users / sum(block.users for block in blocks)


def ours(scan: BlockScan, problem: Problem, effort: Effort) -> tuple[Solution, float]:
    start = time.perf_counter()
    solution = solve(scan, problem, effort)
    return solution, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--promotions", type=int, default=20)
    for flag in ("--hard", "--alike", "--contest", "--scaling", "--matching"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--seconds", type=float, default=600, help="time limit of each other method in the contest")
    parser.add_argument("--memory", default="3g", help="memory of Spark's driver")
    options = parser.parse_args()
    if options.matching:
        import allocation_matching

        allocation_matching.main(say)
        return
    with session.opened(load(["local"], [f"spark.driver_memory={options.memory}"])) as spark, tempfile.TemporaryDirectory() as folder:
        spark.sparkContext.addPyFile(str(Path(instance.__file__)))  # the workers make the blocks
        users, promotions, seconds = options.users, options.promotions, {}
        for count in [users // 100, users // 10, users] if options.scaling else [users]:
            problem = instance.problem(count, promotions, options.hard, options.alike)
            scan = instance.scan(spark, count, promotions, Path(folder) / str(count), options.alike)
            pass_seconds(scan, problem, [np.zeros(len(problem.resources))])  # workers warm
            before = rss_mib()
            solution, took = ours(scan, problem, Effort(gap=1e-6))
            broken, value, writing = violations(scan, problem, solution)
            seconds[count] = took + writing
            proof, size = solution.certificate, {"users": count, "promotions": promotions, "resources": len(problem.resources)}
            binding = int((proof.prices > 1e-9).sum())
            say("gap", (proof.bound - value) / proof.bound, objective=value, bound=proof.bound, binding=binding, size=size)
            say("violations", broken, size=size)
            say("passes", proof.count_passes, size=size)
            say("seconds", round(took + writing, 2), solve=round(took, 2), plan=round(writing, 2), size=size)
            single = pass_seconds(scan, problem, [proof.prices])
            say("total_over_pass", round((took + writing) / single, 2), pass_seconds=round(single, 3), size=size)
            say("driver_mib", round(rss_mib() - before, 1), size=size)
        cores = spark.sparkContext.defaultParallelism
        eight = [proof.prices * (1 + 0.01 * i) for i in range(8)]
        for name, prices in (("pass_over_numpy", eight), ("single_over_numpy", eight[:1])):
            own = pass_seconds(scan, problem, prices)
            plain = numpy_seconds(problem, users, promotions, scan.layout.kind, prices)
            say(name, round(own * cores / plain, 2), size=size, seconds=round(own, 3), numpy_seconds=round(plain, 3))
        if options.scaling:
            exponent = np.log(seconds[users] / seconds[users // 100]) / np.log(users / (users // 100))
            say("time_exponent", round(float(exponent), 3), size=size)
        if options.contest:
            allocation_contest.run(say, problem, users, promotions, options.seconds, (value, proof.bound, took + writing))


if __name__ == "__main__":
    main()
