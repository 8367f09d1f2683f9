"""How often 95 % intervals of incremental profit hold the truth, in shops of few users and of many.

    make demo && python bench/coverage.py [--config local] [--users 600 2000] [--partitions 3]

On the tables of a run of the embedded shop: the decisions of its plan (day `run.as_of`) are parted at random into groups of `users`, each
evaluated as a shop of its own (adjustments are fitted within it), `partitions` times anew; each interval is held against what the
simulator expects of the group's own offers sent. covered: the share that holds it; too_high, too_low: the rest, by side; half_width: the
median, per offer sent. Groups of one partition are apart, those of different ones overlap: the share is worth less than as many shops.
"""

import argparse
from collections import defaultdict
from itertools import product
from statistics import median

import figures
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop import session, tables
from promoloop.evaluation import effects, evaluations, subjects
from promoloop.offers import decisions, log
from promoloop.offers.log import Shop
from promoloop.settings import load


def evaluated(decisions: DataFrame, min_effective: int) -> list[tuple[str, tuple[float, ...]]]:
    """By method: low, high, what the simulator expects of the offers sent, users sent and held back."""
    part = decisions.cache()
    scoped = effects.per_scope(subjects.add_adjustments(part)).where("scope = 'all'").cache()
    true = scoped.where("is_sent").agg(F.sum("worth")).first()[0] or 0.0
    rows = effects.measure(scoped, min_effective).where("metric = 'incremental_profit'").collect()
    for cached in (scoped, part):
        cached.unpersist()
    return [(row["method"], (row["low"], row["high"], true, row["count_treated"], row["count_control"])) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="local")
    parser.add_argument("--users", type=int, nargs="+", default=[600, 2000])
    parser.add_argument("--partitions", type=int, default=3)
    options = parser.parse_args()
    own = load([options.config], [])
    with session.opened(own) as spark:
        read = {t.name: tables.read(spark, own, t) for t in (tables.EVENTS, tables.USERS, tables.ITEMS, tables.PROMOTIONS)}
        of_plan = F.col("run_id") == F.lit(own.run.run_id)
        offers, due = evaluations.closed_on(tables.read(spark, own, tables.OFFERS).where(of_plan), read["events"], own.evaluation)
        known = log.known(read["events"], read["items"], offers, own.offers.assumed_margin)
        shop = Shop(read["users"], read["items"], read["promotions"], known)
        truth = tables.read(spark, own, tables.TRUTH_OFFERS).where(F.col("as_of_on") == F.lit(own.run.as_of))
        worth = truth.select("user_id", "promotion_id", F.col("expected_profit").alias("worth"))
        profiles, is_covered = tables.read(spark, own, tables.USER_PROFILES), decisions.is_covered(due.log_days)
        decided = subjects.per_decision(offers, shop, profiles, own.evaluation.baseline_days, is_covered)
        planned = (
            decided.where("arm_group = 'planned' and is_randomised")
            .join(worth, ["user_id", "promotion_id"], "left")
            .withColumn("top", F.lit(None).cast("int"))
            .persist()
        )
        everyone = planned.select("user_id").distinct().count()
        for users in options.users:
            groups = max(1, round(everyone / users))
            found = defaultdict(list)
            for partition, group in product(range(options.partitions), range(groups)):
                is_in = F.pmod(F.xxhash64("user_id", F.lit(partition)), F.lit(groups)) == group
                for method, interval in evaluated(planned.where(is_in), own.evaluation.min_effective_users):
                    found[method].append(interval)
            for method, intervals in sorted(found.items()):
                size = f"{len(intervals)} groups of {users} users, {round(median(held for *_, held in intervals))} of them held back"
                shares = {
                    "covered": [low <= true <= high for low, high, true, *_ in intervals],
                    "too_high": [true < low for low, _, true, *_ in intervals],
                    "too_low": [true > high for _, high, true, *_ in intervals],
                }
                for name, are in shares.items():
                    figures.say("coverage", name, sum(are) / len(are), "share", size, method=method)
                half = median((high - low) / 2 / sent for low, high, _, sent, _ in intervals)
                figures.say("coverage", "half_width", half, "money per offer", size, method=method)


if __name__ == "__main__":
    main()
