"""How often a user may be written to: at most so many offers in 7 and in 30 days, and a rest for each form after its last offer.

Counted are the offers sent before the day of the plan, whoever made them. They leave each user a number of offers (`most`) and a set of
forms; users with none left get nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.settings.plan import AllocationSettings


def days_looked_back(own: AllocationSettings) -> int:
    """How many days of what was sent cadence looks at; 0 where the settings ask nothing."""
    return max([0, *own.cool_down_days.values(), *(days for days, _, _ in windows(own))])


def windows(own: AllocationSettings) -> list[tuple[int, int, str]]:
    """Days, the most offers in them, and the column of `recent` that counts what was sent, of each window the settings limit."""
    asked = ((7, own.most_in_7_days, "_sent_7"), (30, own.most_in_30_days, "_sent_30"))
    return [(days, most, sent) for days, most, sent in asked if most is not None]


def recent(offers: DataFrame, promotions: DataFrame, as_of: date, own: AllocationSettings) -> DataFrame | None:
    """One row per user written to lately: user_id, `_sent_7`, `_sent_30`, `_resting` (forms); None where the settings ask nothing.

    `offers` are rows of the ledgers, those sent on or after `as_of` are ignored.
    """
    days = days_looked_back(own)
    if not days:
        return None
    ago = F.date_diff(F.lit(as_of), F.to_date("issued_at"))  # sent, whenever it may be used: a promotion may begin later
    sent = offers.where(F.col("is_sent") & F.col("promotion_id").isNotNull()).withColumn("_ago", ago).where(F.col("_ago").between(1, days))
    formed = sent.join(F.broadcast(promotions.select("promotion_id", "form")), "promotion_id", "left")
    rest = F.create_map(*(F.lit(part) for pair in own.cool_down_days.items() for part in pair)) if own.cool_down_days else None
    is_resting = F.lit(False) if rest is None else F.coalesce(F.col("_ago") <= F.try_element_at(rest, F.col("form")), F.lit(False))
    return formed.groupBy("user_id").agg(
        F.count_if(F.col("_ago") <= 7).cast("int").alias("_sent_7"),
        F.count_if(F.col("_ago") <= 30).cast("int").alias("_sent_30"),
        F.collect_set(F.when(is_resting, F.col("form"))).alias("_resting"),
    )


def recent_of(offers: Iterable[Mapping[str, Any]], forms: Mapping[str, str], as_of: date, own: AllocationSettings) -> dict[str, Any]:
    """The row that `recent` has of one user, of the user's rows of the ledgers; `forms` by promotion_id."""
    sent = [one for one in offers if one["is_sent"] and one["promotion_id"] is not None]
    days = [((as_of - one["issued_at"].astimezone(UTC).date()).days, forms.get(one["promotion_id"])) for one in sent]
    past = [(ago, form) for ago, form in days if ago >= 1]
    rests = {str(form): days for form, days in own.cool_down_days.items()}
    counts = {f"_sent_{within}": sum(ago <= within for ago, _ in past) for within in (7, 30)}
    return counts | {"_resting": sorted({form for ago, form in past if form is not None and ago <= rests.get(form, 0)})}


def most_of(lately: Mapping[str, Any], own: AllocationSettings) -> int:
    """How many offers a user may get, by the user's row of `recent_of`: `most` of `applied`."""
    return max(0, min([own.offers_per_user, *(most - int(lately[sent]) for _, most, sent in windows(own))]))


def applied(values: DataFrame, promotions: DataFrame, lately: DataFrame | None, own: AllocationSettings) -> DataFrame:
    """`values` (user_id, promotion_id, ...) with `most`, how many offers the user may get; without the pairs that cadence forbids."""
    if lately is None:
        return values.withColumn("most", F.lit(own.offers_per_user))
    counted = values.join(F.broadcast(promotions.select("promotion_id", "form")), "promotion_id").join(lately, "user_id", "left")
    left = [F.lit(most) - F.coalesce(F.col(sent), F.lit(0)) for _, most, sent in windows(own)]
    may = F.greatest(F.least(F.lit(own.offers_per_user), *left), F.lit(0)) if left else F.lit(own.offers_per_user)
    is_awake = ~F.array_contains(F.coalesce("_resting", F.array().cast("array<string>")), F.col("form"))
    return counted.withColumn("most", may).where((F.col("most") > 0) & is_awake).drop("form", "_sent_7", "_sent_30", "_resting")
