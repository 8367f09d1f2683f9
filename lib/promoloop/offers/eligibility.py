"""Which promotion may go to whom, and from when to when."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.offers import forms


def midnight(day: date) -> Column:
    """The first moment of a day, UTC."""
    return F.lit(day.isoformat()).cast("timestamp")


def open_promotions(promotions: DataFrame, as_of: date, horizon_days: int) -> DataFrame:
    """Sound promotions whose window meets [as_of, as_of + horizon), with the window of an offer: valid_from_at, valid_until_at."""
    start, end = midnight(as_of), midnight(as_of + timedelta(days=horizon_days))
    return (
        promotions.where(F.size(forms.faults()) == 0)
        .where((F.col("starts_at") < end) & (F.col("ends_at") > start))
        .withColumn("valid_from_at", F.greatest("starts_at", start))
        .withColumn("valid_until_at", F.least("ends_at", end))
    )


def pairs(
    users: DataFrame, open_promotions: DataFrame, segments: DataFrame, still_open: DataFrame, candidates: DataFrame | None = None
) -> DataFrame:
    """One row per eligible (user, promotion): all columns of `open_promotions`, and user_id, segment, region, channel.

    Eligible is who consented, can be reached by a channel (the first is the preferred one), is of the promotion's target segment,
    and does not already hold an offer of it: `still_open` lists (user_id, promotion_id). `segments` holds user_id and segment.
    `candidates` (user_id, promotion_id), where given, are the only pairs considered. Promotions are broadcast.
    """
    reachable = users.where(F.col("has_consent") & (F.size("channels") > 0))
    described = reachable.join(segments.select("user_id", "segment"), "user_id", "left").select(
        "user_id", F.coalesce("segment", F.lit("unknown")).alias("segment"), "region", F.col("channels")[0].alias("channel")
    )
    is_targeted = F.col("target_segment").isNull() | (F.col("target_segment") == F.col("segment"))
    held = still_open.select("user_id", "promotion_id").distinct()
    if candidates is None:
        targeted = described.join(F.broadcast(open_promotions), is_targeted)
    else:
        proposed = described.join(candidates.select("user_id", "promotion_id"), "user_id")
        targeted = proposed.join(F.broadcast(open_promotions), "promotion_id").where(is_targeted)
    return targeted.join(held, ["user_id", "promotion_id"], "left_anti")
