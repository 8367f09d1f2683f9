"""Does a plan keep its limits? Judged from the plan itself, not from what the optimiser says about it."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_TOLERANCE = 1e-6  # relative: sums of doubles in another order differ in the last digits


def violations(allocations: DataFrame, scores: DataFrame, resources: DataFrame, offers_per_user: int = 1) -> DataFrame:
    """One row per run with its number of violations of each kind; 0 everywhere in a sound plan.

    - `over_capacity`: resources whose stated use exceeds their capacity (falls short of it, for a `floor`)
    - `misstated_use`: budgets and inventories whose stated use is not what allocations and offer_scores add up to
    - `recomputed_over_capacity`: budgets and inventories that the added-up use exceeds
    - `not_eligible`: allocations of a (user, promotion) without a score that day
    - `too_many`: users with more than `offers_per_user` offers of one run
    """
    eligible = scores.select("user_id", "promotion_id", "as_of_on", "expected_cost", F.lit(True).alias("_known"))
    planned = allocations.select("run_id", "user_id", "promotion_id", "as_of_on").join(
        eligible, ["user_id", "promotion_id", "as_of_on"], "left"
    )
    per_promotion = planned.groupBy("run_id", "promotion_id").agg(F.sum("expected_cost").alias("cost"), F.count("*").alias("offers"))
    sums = {"budget:": F.col("cost"), "inventory:": F.col("offers").cast("double")}
    recomputed = per_promotion.groupBy("run_id").agg(F.lit("budget").alias("resource"), F.sum("cost").alias("_added_up"))
    for prefix, quantity in sums.items():
        named = F.concat(F.lit(prefix), "promotion_id").alias("resource")
        recomputed = recomputed.unionByName(per_promotion.select("run_id", named, quantity.alias("_added_up")))
    limits = resources.where("resource <> 'plan'").join(recomputed, ["run_id", "resource"], "left")
    is_sum = F.col("resource").rlike("^budget(:|$)|^inventory:")
    added_up = F.when(is_sum, F.coalesce("_added_up", F.lit(0.0)))
    is_floor = F.col("resource").startswith("floor")
    slack = F.lit(_TOLERANCE) * F.greatest(F.abs("capacity"), F.abs("used"), F.lit(1.0))
    breach = F.when(is_floor, F.col("used") < F.col("capacity") - slack).otherwise(F.col("used") > F.col("capacity") + slack)
    broken = limits.groupBy("run_id").agg(
        F.count_if(breach).alias("over_capacity"),
        F.count_if(F.abs(added_up - F.col("used")) > slack).alias("misstated_use"),
        F.count_if(added_up > F.col("capacity") + slack).alias("recomputed_over_capacity"),
    )
    strangers = planned.groupBy("run_id").agg(F.count_if(F.col("_known").isNull()).alias("not_eligible"))
    per_user = planned.groupBy("run_id", "user_id").count()
    crowded = per_user.groupBy("run_id").agg(F.count_if(F.col("count") > offers_per_user).alias("too_many"))
    return broken.join(strangers, "run_id", "full").join(crowded, "run_id", "full").na.fill(0)
