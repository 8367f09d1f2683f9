"""What a policy would have earned, from the decisions of another that was drawn at random with known probabilities.

Rows i: what was done a_i with probability q_i, outcome Y_i, and the probability pi_i with which the policy in question does a_i.

    ips            mean of r Y,  r = pi / q                                   (Horvitz and Thompson 1952)
    snips          sum of r Y / sum of r                                      (Swaminathan and Joachims 2015)
    doubly_robust  mean of sum_a pi(a) m(a) + r (Y - m(a_i))                  (Dudik, Langford and Li 2011)

All need users whom both policies treat alike. Their effective number is (sum r)^2 / sum r^2; below `min_effective` nothing is claimed.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.evaluation.effects import Z


def value(rows: DataFrame, by: Sequence[str], min_effective: int) -> DataFrame:
    """Per group `by`: method, value, low, high, effective, rows. `rows`: pi, q, y, expected (m of what was done), expected_policy.

    Where the effective number is below `min_effective`, value, low and high are null.
    """
    weighed = rows.withColumn("r", F.col("pi") / F.col("q"))
    r, y, n = F.col("r"), F.col("y"), F.col("rows")
    doubly = F.col("expected_policy") + r * (y - F.col("expected"))
    sums = weighed.groupBy(*by).agg(
        F.count("*").alias("rows"),
        *(F.sum(term).alias(name) for name, term in {"r": r, "rr": r * r, "ry": r * y, "rry": r * r * y, "rryy": r * r * y * y}.items()),
        F.avg(doubly).alias("dr"),
        (F.stddev_samp(doubly) / F.sqrt(F.count("*"))).alias("dr_error"),
        (F.stddev_samp(r * y) / F.sqrt(F.count("*"))).alias("ips_error"),
    )
    snips = F.try_divide("ry", "r")
    spread = F.col("rryy") - 2 * snips * F.col("rry") + snips * snips * F.col("rr")
    estimates = {
        "ips": (F.col("ry") / n, F.col("ips_error")),
        "snips": (snips, F.sqrt(F.greatest(spread, F.lit(0.0))) / F.col("r")),
        "doubly_robust": (F.col("dr"), F.col("dr_error")),
    }
    each = F.explode(F.array(*(F.struct(F.lit(name).alias("method"), v.alias("v"), e.alias("e")) for name, (v, e) in estimates.items())))
    found = sums.withColumn("effective", F.coalesce(F.try_divide(F.col("r") * F.col("r"), F.col("rr")), F.lit(0.0))).select(
        *by, "rows", "effective", each.alias("_m")
    )
    ok = F.col("effective") >= min_effective
    v, half = F.col("_m.v"), Z * F.col("_m.e")
    return found.select(
        *by,
        "rows",
        F.round("effective", 3).alias("effective"),
        "_m.method",
        *(F.when(ok, end).alias(name) for name, end in {"value": v, "low": v - half, "high": v + half}.items()),
    )


def of_explorers(explorers: DataFrame, scores: DataFrame, min_effective: int) -> DataFrame:
    """Evaluation rows `policy_profit_per_user`: profit of giving everyone nothing, or their best promotion by expected profit.

    `explorers` are the explored decisions as logged (promotion_id null: none) with profit, propensity, expected_profit_held and the
    explore_share of their run; `scores` the offer scores of their runs (run_id, user_id, promotion_id, expected_profit). The best is
    not held to any budget: it is what the scores would do where money is no object.
    """
    best = F.max_by("promotion_id", F.struct("expected_profit", "promotion_id"))
    top = scores.where("expected_profit > 0").groupBy("run_id", "user_id").agg(
        best.alias("_best"), F.max("expected_profit").alias("_best_profit")
    )  # fmt: skip
    own = scores.select("run_id", "user_id", "promotion_id", F.col("expected_profit").alias("_own_profit"))
    known = explorers.join(top, ["run_id", "user_id"], "left").join(own, ["run_id", "user_id", "promotion_id"], "left")
    is_none, held = F.col("promotion_id").isNull(), F.col("expected_profit_held")
    is_best = F.coalesce(F.col("promotion_id"), F.lit("")) == F.coalesce(F.col("_best"), F.lit(""))
    policies = F.array(
        F.struct(F.lit("policy:none").alias("scope"), is_none.cast("double").alias("pi"), held.alias("expected_policy")),
        F.struct(
            F.lit("policy:best").alias("scope"),
            is_best.cast("double").alias("pi"),
            (held + F.coalesce("_best_profit", F.lit(0.0))).alias("expected_policy"),
        ),
    )
    rows = known.select(
        "run_id",
        F.col("profit").alias("y"),
        (F.col("propensity") / F.col("explore_share")).alias("q"),
        (held + F.coalesce("_own_profit", F.lit(0.0))).alias("expected"),
        F.explode(policies).alias("_p"),
    ).select("run_id", "y", "q", "expected", "_p.*")
    valued = value(rows, ("run_id", "scope"), min_effective)
    refused = F.col("value").isNull()
    note = F.format_string("profit per user of the policy; %.0f of %d explorers count", "effective", "rows")
    why = F.format_string("refused: %.1f effective users of %d explorers, fewer than %d", "effective", "rows", F.lit(min_effective))
    return valued.where(~refused | (F.col("method") == "snips")).select(
        "run_id",
        F.when(refused, "effective_users").otherwise("policy_profit_per_user").alias("metric"),
        "scope",
        F.when(refused, "refused").otherwise(F.col("method")).alias("method"),
        F.when(refused, F.col("effective")).otherwise(F.col("value")).alias("value"),
        *("low", "high"),
        F.col("rows").alias("count_treated"),
        F.lit(None).cast("bigint").alias("count_control"),
        (~refused).alias("is_causal"),
        F.when(refused, why).otherwise(note).alias("note"),
    )
