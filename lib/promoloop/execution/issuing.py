"""From a plan to the ledger: who is sent what, who is withheld from, who explores, with which probability."""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop import privacy
from promoloop.execution import codes, exploring
from promoloop.offers import arms, eligibility
from promoloop.settings.plan import ExecutionSettings


def is_issued(offers: DataFrame, run_id: str) -> bool:
    """Whether anything of the run was sent: that cannot be taken back, so its plan and its offers stay as they are."""
    return not offers.where((F.col("run_id") == run_id) & F.col("is_sent")).isEmpty()


def assign(
    allocations: DataFrame, scores: DataFrame, free: DataFrame, resources: DataFrame, run_id: str, settings: ExecutionSettings
) -> DataFrame:
    """One row per decision: user_id, promotion_id, arm, is_sent, propensity, channel, expected_value, expected_cost.

    Planned users are treated or, at random, withheld from; a user drawn to explore is never planned, even where `allocations` say so.
    Explorers draw among their `free` scores, those cadence allows; users held out of every run are in neither.
    Sent offers of planned users are a part of the plan, so every limit it kept to still holds.
    """
    user, explores = F.col("user_id"), settings.explore_share
    planned = allocations.where(~arms.is_left_out(user, run_id, explores, settings.holdout_share)).select("user_id", "promotion_id")
    is_control = arms.is_control(user, run_id, settings.control_share)
    share = F.when(is_control, settings.control_share).otherwise(1 - settings.control_share)
    chosen = planned.join(scores, ["user_id", "promotion_id"]).select(
        *("user_id", "promotion_id", "channel", "expected_profit", "expected_cost"),
        F.when(is_control, "control").otherwise("treatment").alias("arm"),
        F.round((1 - explores) * share, 12).alias("propensity"),
    )
    tried = free.where(~arms.is_holdout(user, settings.holdout_share))
    explored = exploring.draw(tried, resources, run_id, explores, settings.explore_reserve).withColumn("arm", F.lit("explore"))
    is_sent = (F.col("arm") != "control") & F.col("promotion_id").isNotNull()
    return chosen.unionByName(explored).withColumn("is_sent", is_sent).withColumnRenamed("expected_profit", "expected_value")


def to_offers(decisions: DataFrame, windows: DataFrame, run_id: str, as_of: date, horizon_days: int, key: privacy.Key) -> DataFrame:
    """Rows of table offers for `decisions` of `assign`: ids, windows and codes.

    `windows`: what is open (`eligibility.open_promotions`), all that decisions are about; a decision about no promotion covers all days.
    """
    start, end = eligibility.midnight(as_of), eligibility.midnight(as_of + timedelta(days=horizon_days))
    offer_id = F.substring(F.sha2(F.concat_ws("|", F.lit(run_id), "user_id", F.coalesce("promotion_id", F.lit(""))), 256), 1, 32)
    days = F.broadcast(windows.select("promotion_id", "valid_from_at", "valid_until_at"))
    identified = decisions.join(days, "promotion_id", "left").withColumn("offer_id", offer_id)
    return identified.select(
        "offer_id",
        F.lit(run_id).alias("run_id"),
        *("user_id", "promotion_id", "arm", "is_sent", "propensity"),
        F.when(F.col("is_sent"), F.col("channel")).alias("channel"),
        F.when(F.col("is_sent"), codes.issue(F.col("offer_id"), key)).alias("code"),
        F.coalesce("valid_from_at", start).alias("valid_from_at"),
        F.coalesce("valid_until_at", end).alias("valid_until_at"),
        start.alias("issued_at"),
        *("expected_value", "expected_cost"),
    )
