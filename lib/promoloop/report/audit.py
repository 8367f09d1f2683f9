"""Does a plan keep its limits? Judged from the plan itself, not from what the optimiser says about it."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.allocation.limits import DISPARITY
from promoloop.allocation.values import USER_KINDS

_TOLERANCE = 1e-6  # relative: sums of doubles in another order differ in the last digits
_ONE_OFFER = 1e-9  # relative: finer, as one offer among a million is to be missed


def violations(allocations: DataFrame, scores: DataFrame, resources: DataFrame, offers_per_user: int = 1) -> DataFrame:
    """One row per run with its number of violations of each kind; 0 everywhere in a sound plan.

    - `over_capacity`: resources whose stated use exceeds their capacity (falls short of it, for a floor)
    - `misstated_use`: resources whose stated use is not what allocations and offer_scores add up to
    - `recomputed_over_capacity`: resources whose capacity the added-up use exceeds (falls short of)
    - `not_eligible`: allocations of a (user, promotion) without a score that day
    - `too_many`: users with more than `offers_per_user` offers of one run

    Where the allocations are not worth the plan's objective people were forgotten since, and what is left adds up to less than was
    planned: only added-up use above what is stated, or above capacity, counts then.
    """
    known = scores.select("user_id", "promotion_id", "as_of_on", "expected_cost", *USER_KINDS, F.lit(True).alias("_known"))
    planned = allocations.select("run_id", "user_id", "promotion_id", "as_of_on").join(
        known, ["user_id", "promotion_id", "as_of_on"], "left"
    )
    limits = (
        resources.where("resource <> 'plan'")
        .join(_added_up(planned, resources), ["run_id", "resource"], "left")
        .join(_short(allocations, resources), "run_id", "left")
    )
    added_up = F.coalesce("_added_up", F.lit(0.0))
    is_floor = F.coalesce("is_floor", F.lit(False))
    slack = F.lit(_TOLERANCE) * F.greatest(F.abs("capacity"), F.abs("used"), F.lit(1.0))
    breach = F.when(is_floor, F.col("used") < F.col("capacity") - slack).otherwise(F.col("used") > F.col("capacity") + slack)
    is_short = F.coalesce("_is_short", F.lit(False))
    can_grow = is_floor | F.col("resource").startswith(DISPARITY)  # by fewer offers: what is compared, and what a floor lacks
    can_tell = ~(is_short & can_grow)
    misstated = F.when(is_short, added_up - F.col("used")).otherwise(F.abs(added_up - F.col("used"))) > slack
    recomputed = F.when(is_floor, F.col("capacity") - added_up).otherwise(added_up - F.col("capacity")) > slack
    broken = limits.groupBy("run_id").agg(
        F.count_if(breach).alias("over_capacity"),
        F.count_if(can_tell & misstated).alias("misstated_use"),
        F.count_if(can_tell & recomputed).alias("recomputed_over_capacity"),
    )
    strangers = planned.groupBy("run_id").agg(F.count_if(F.col("_known").isNull()).alias("not_eligible"))
    per_user = planned.groupBy("run_id", "user_id").count()
    crowded = per_user.groupBy("run_id").agg(F.count_if(F.col("count") > offers_per_user).alias("too_many"))
    return broken.join(strangers, "run_id", "full").join(crowded, "run_id", "full").na.fill(0)


def _short(allocations: DataFrame, resources: DataFrame) -> DataFrame:
    """run_id, `_is_short`: whether the allocations that are there are worth something else than the plan was."""
    worth = allocations.groupBy("run_id").agg(F.sum("value").alias("_worth"))
    missed = F.abs(F.coalesce("_worth", F.lit(0.0)) - F.col("objective")) > _ONE_OFFER * F.greatest(F.abs("objective"), F.lit(1.0))
    return resources.where("resource = 'plan'").join(worth, "run_id", "left").select("run_id", missed.alias("_is_short"))


def _added_up(planned: DataFrame, resources: DataFrame) -> DataFrame:
    """run_id, resource, `_added_up`: what the offers given use of each resource, by its own weights."""
    per_kind = planned.groupBy("run_id", "promotion_id", *USER_KINDS).agg(
        F.sum("expected_cost").alias("_cost"), F.count("*").cast("double").alias("_offers")
    )
    kinds = resources.where("resource = 'plan'").select("run_id", "kinds")
    part = F.create_map(*(part for kind in USER_KINDS for part in (F.lit(kind), F.coalesce(kind, F.lit("None")))))
    cell = F.array_join(F.transform("kinds", lambda kind: F.element_at(part, kind)), "/")
    weighed = resources.where("resource <> 'plan'").select("run_id", "resource", "quantity", "by_promotion", "by_cell")
    each = weighed.join(per_kind.join(kinds, "run_id", "left").withColumn("_cell", cell), "run_id")
    by_cell = F.when(F.col("by_cell").isNull(), 1.0).otherwise(F.coalesce(F.try_element_at("by_cell", "_cell"), F.lit(0.0)))
    weight = F.coalesce(F.try_element_at("by_promotion", "promotion_id"), F.lit(0.0)) * by_cell
    amount = F.when(F.col("quantity") == "cost", F.col("_cost")).otherwise(F.col("_offers"))
    return each.groupBy("run_id", "resource").agg(F.sum(weight * amount).alias("_added_up"))
