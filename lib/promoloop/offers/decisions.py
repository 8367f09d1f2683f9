"""The ledger as a series of experiments: every decision with the promotion it is about and the probability that it was sent.

A decision is about a promotion p: sent (treatment, explore) or withheld (control, or explored 'no offer'). The ledger logs the
probability q of what happened to the user. Among the decisions of one run about one promotion, in one arm group, with a = arm,

    e = P(sent | about p) = sum of mean q[a] over arms sent / sum of mean q[a] over all arms,

the row's own q standing in for the mean of its arm: exact where q does not differ between users of a group. Explorers are a group
of their own where some of them were withheld (they were drawn from all users, the planned were chosen), and share the controls of
their run where none was. A withheld decision without a promotion ('no offer') is about one drawn at random from those its group
sent, takes over its window, and its q is shared among them. Groups and what 'no offer' is about are read off the whole run, also where
the log covers only a part of it: of its explorers those sent a short promotion are known before those sent nothing.
"""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.offers import arms, eligibility

Days = tuple[date, date]  # the first, and the first after the last
_LEAST = 0.02
_GROUP = ("run_id", "arm_group")


def is_covered(days: Days | None) -> Column:
    """Whether the log, which is of `days` (None: of no day), covers the window: where it does not, nothing done is nothing known."""
    if days is None:
        return F.lit(False)
    first, end = (eligibility.midnight(day) for day in days)
    return (F.col("valid_from_at") >= first) & (F.col("valid_until_at") <= end)


def add_assignment(offers: DataFrame, is_known: Column | None = None) -> DataFrame:
    """`offers` of whole runs, each about a promotion_id, with arm_group, `e` (probability of having been sent) and is_randomised.

    Rows that are about no promotion at all (a group that sent none) are dropped, and those that are not `is_known`, a condition on the
    window, where it is given. e is null where is_randomised is false: an unknown propensity, or a group all or none of which was sent.
    """
    is_explored = F.col("arm") == "explore"
    runs = offers.groupBy("run_id").agg(F.max(is_explored & ~F.col("is_sent")).alias("_has_withheld_explorers"))
    group = F.when(is_explored & F.col("_has_withheld_explorers"), "explore").otherwise("planned")
    grouped = offers.join(F.broadcast(runs), "run_id").withColumn("arm_group", group).drop("_has_withheld_explorers")
    about = _add_promotion(grouped)
    about = about if is_known is None else about.where(is_known)
    q = F.col("propensity")
    by_arm = (
        about.groupBy(*_GROUP, "promotion_id", "arm", "is_sent")
        .agg(F.avg(q).alias("_q"), F.count(F.when(q.isNull(), 1)).alias("_unknown"))
        .groupBy(*_GROUP, "promotion_id")
        .agg(
            F.sum(F.when(F.col("is_sent"), F.col("_q"))).alias("_q_sent"),
            F.sum(F.when(~F.col("is_sent"), F.col("_q"))).alias("_q_held"),
            F.map_from_entries(F.collect_list(F.struct(F.concat_ws(" ", "arm", "is_sent"), "_q"))).alias("_by_arm"),
            F.sum("_unknown").alias("_unknown"),
        )
    )
    own = q - F.element_at("_by_arm", F.concat_ws(" ", "arm", "is_sent"))
    sent = F.col("_q_sent") + F.when(F.col("is_sent"), own).otherwise(0)
    e = sent / (F.col("_q_sent") + F.col("_q_held") + own)
    bounded = F.when(e.isNotNull() & (F.col("_unknown") == 0), F.round(F.greatest(F.least(e, F.lit(1 - _LEAST)), F.lit(_LEAST)), 9))
    return (
        about.join(F.broadcast(by_arm), [*_GROUP, "promotion_id"])
        .withColumn("e", bounded)
        .withColumn("is_randomised", F.col("e").isNotNull())
        .drop("_q_sent", "_q_held", "_by_arm", "_unknown")
    )


def _add_promotion(grouped: DataFrame) -> DataFrame:
    """Give each 'no offer' decision a promotion, its window and its share of the propensity."""
    sent = grouped.where(F.col("is_sent") & F.col("promotion_id").isNotNull())
    windows = sent.groupBy(*_GROUP, "promotion_id").agg(F.min("valid_from_at").alias("from_at"), F.max("valid_until_at").alias("until_at"))
    tried = windows.groupBy(*_GROUP).agg(F.array_sort(F.collect_list(F.struct("promotion_id", "from_at", "until_at"))).alias("_tried"))
    position = F.floor(arms.draw("shadow", "", F.col("offer_id")) * F.size("_tried")).cast("int") + 1
    has_none = F.col("promotion_id").isNull()
    shadow = F.when(has_none, F.element_at("_tried", position))
    return (
        grouped.join(F.broadcast(tried), list(_GROUP), "left")
        .withColumn("_shadow", shadow)
        .withColumn("propensity", F.when(has_none, F.col("propensity") / F.size("_tried")).otherwise(F.col("propensity")))
        .withColumn("promotion_id", F.coalesce("promotion_id", "_shadow.promotion_id"))
        .withColumn("valid_from_at", F.coalesce("_shadow.from_at", "valid_from_at"))
        .withColumn("valid_until_at", F.coalesce("_shadow.until_at", "valid_until_at"))
        .where(F.col("promotion_id").isNotNull())
        .drop("_tried", "_shadow")
    )
