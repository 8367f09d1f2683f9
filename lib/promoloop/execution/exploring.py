"""What explorers get: a promotion drawn uniformly from those they are eligible for, or none, within what the plan left to exploring.

A user with k eligible promotions draws one of k + 1 choices. Where a promotion (or all together) would exceed its reserve, only those
whose second draw is below a threshold t get it, the others get none; t is the largest of 1000 steps at which the reserve holds. So

    P(explore, p)    = explore_share * t[p] / (k + 1)
    P(explore, none) = explore_share * (1 + sum over eligible p of (1 - t[p])) / (k + 1)

The threshold is found from all explorers' draws, a user's own among them: the probabilities are exact up to one part in their number.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from promoloop.offers import arms

_STEPS = 1000


def draw(scores: DataFrame, resources: DataFrame, run_id: str, share: float, reserve: float) -> DataFrame:
    """One row per explorer: user_id, promotion_id (null: none), propensity, channel, expected_profit, expected_cost.

    `scores` are the plan's offer scores; `resources` its allocation_resources: the plan kept to 1 - `reserve` of every capacity, so
    reserve / (1 - reserve) of what it had is left. Used here: budget, budget:PROMOTION (expected concession, money) and
    inventory:PROMOTION (offers).
    """
    eligible = scores.where(arms.is_explorer(F.col("user_id"), run_id, share))
    mine = Window.partitionBy("user_id")
    numbered = eligible.withColumn("_k", F.count("*").over(mine)).withColumn(
        "_number", F.row_number().over(mine.orderBy(F.col("promotion_id")))
    )
    choice = F.floor(arms.draw("choice", run_id, F.col("user_id")) * (F.col("_k") + 1))
    drawn = numbered.withColumn("_is_drawn", F.col("_number") == choice).withColumn(
        "_step", F.floor(arms.draw("reserve", run_id, F.col("user_id")) * _STEPS)
    )
    thresholds = _thresholds(drawn.where("_is_drawn"), resources, reserve / (1 - reserve))
    weighed = drawn.join(F.broadcast(thresholds), "promotion_id", "left").withColumn("_t", F.coalesce("_t", F.lit(1.0)))
    kept = F.when(F.col("_is_drawn") & (F.col("_step") < F.col("_t") * _STEPS), F.struct(*_KEPT))
    per_user = weighed.groupBy("user_id").agg(
        F.max(kept).alias("_kept"),
        F.first("channel").alias("channel"),
        F.first("_k").alias("_k"),
        F.sum(F.round((1 - F.col("_t")) * _STEPS)).alias("_refused_steps"),
    )
    none = 1 + F.col("_refused_steps") / _STEPS
    chance = F.when(F.col("_kept").isNotNull(), F.col("_kept._t")).otherwise(none)
    return per_user.select(
        *("user_id", "_kept.promotion_id", "channel", "_kept.expected_profit", "_kept.expected_cost"),
        F.round(share * chance / (F.col("_k") + 1), 12).alias("propensity"),
    )


_KEPT = ("promotion_id", "expected_profit", "expected_cost", "_t")


def _thresholds(drawn: DataFrame, resources: DataFrame, part: float) -> DataFrame:
    """Per promotion drawn: `_t`, the share of those who drew it that may have it."""
    steps = drawn.groupBy("promotion_id", "_step").agg(F.sum("expected_cost").alias("_cost"), F.count("*").alias("_count"))
    limits = resources.select("resource", (F.col("capacity") * part).alias("_limit")).where(F.col("_limit").isNotNull())
    own = [_first_breach(steps, limits, "budget", "_cost"), _first_breach(steps, limits, "inventory", "_count")]
    within = steps
    for breach in own:
        within = within.join(F.broadcast(breach), "promotion_id", "left")
    step = F.least(*(F.coalesce(name, F.lit(_STEPS)) for name in ("_breach_budget", "_breach_inventory")))
    within = within.withColumn("_first", step)
    used = within.where(F.col("_step") < F.col("_first")).groupBy("_step").agg(F.sum("_cost").alias("_cost"))
    running = F.sum("_cost").over(Window.orderBy("_step").rowsBetween(Window.unboundedPreceding, 0))
    total = limits.where("resource = 'budget'").select(F.col("_limit").alias("_total"))
    breach_all = (
        used.withColumn("_running", running)
        .crossJoin(F.broadcast(total))
        .where(F.col("_running") > F.col("_total"))
        .agg(F.coalesce(F.min("_step"), F.lit(_STEPS)).alias("_breach_all"))
    )
    firsts = within.select("promotion_id", "_first").distinct().crossJoin(F.broadcast(breach_all))
    return firsts.select("promotion_id", (F.least("_first", "_breach_all") / F.lit(float(_STEPS))).alias("_t"))


def _first_breach(steps: DataFrame, limits: DataFrame, kind: str, amount: str) -> DataFrame:
    """Per promotion: the first step whose running `amount` exceeds the limit `kind`:PROMOTION; promotions that keep to it are left out."""
    running: Column = F.sum(amount).over(Window.partitionBy("promotion_id").orderBy("_step"))
    limited = limits.where(F.col("resource").startswith(f"{kind}:"))
    mine = limited.select(F.expr(f"substring(resource, {len(kind) + 2})").alias("promotion_id"), F.col("_limit").alias("_own"))
    return (
        steps.withColumn("_running", running)
        .join(F.broadcast(mine), "promotion_id")
        .where(F.col("_running") > F.col("_own"))
        .groupBy("promotion_id")
        .agg(F.min("_step").alias(f"_breach_{kind}"))
    )
