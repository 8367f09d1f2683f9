"""The decisions an evaluation is about: one row each, with arms, outcomes, and what was known before the offer."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.frames import settle
from promoloop.offers import bayes, context, decisions, eligibility, outcomes
from promoloop.offers.decisions import Days
from promoloop.offers.log import Shop

OUTCOMES = ("profit", "revenue")
_ROUNDING = 1e-6
# deviations of a slope (per standard deviation of its regressor) and of an arm's level, in those of the noise: slopes are held near nought
_SLOPE, _LEVEL = bayes.Prior(0.0, 0.25), bayes.Prior(0.0, 100.0)


def log_days(events: DataFrame) -> Days | None:
    """The first day the log says anything about, and the first after it of which it says nothing; None where it is empty."""
    found = events.agg(F.min("occurred_on").alias("first"), F.max("occurred_on").alias("last")).first()
    return (found["first"], found["last"] + timedelta(days=1)) if found is not None and found["last"] is not None else None


def due(offers: DataFrame, days: Days, lookback_days: int) -> list[str]:
    """Runs with a decision that the log of `days` covers, and whose last window closed no longer than `lookback_days` before its end.

    Of a run all offers are evaluated or none: what was found for the whole must not give way to what a rest of it says.
    """
    long_ago = eligibility.midnight(days[1] - timedelta(days=lookback_days))
    runs = offers.groupBy("run_id").agg(
        F.max(decisions.is_covered(days)).alias("has_covered"), F.max("valid_until_at").alias("last_until_at")
    )
    return sorted(row["run_id"] for row in runs.where(F.col("has_covered") & (F.col("last_until_at") > long_ago)).collect())


def per_decision(offers: DataFrame, shop: Shop, segments: DataFrame, baseline_days: int, is_known: Column | None = None) -> DataFrame:
    """One row per decision: assignment (offers/decisions.py), outcomes, form, segment, baseline counts and money.

    `offers` are those of whole runs; where `is_known` is given, a condition on the window, other decisions are left out. `segments`
    holds user_id, as_of_on, segment of any days: a decision gets the latest from before it, so that no segment can be a consequence of
    the offer; null where there is none. Baseline columns (past_margin, count_views, ...) cover `baseline_days` before.
    Assignments are settled, so this runs.
    """
    promotions = shop.promotions.select("promotion_id", "form")
    assigned = decisions.add_assignment(offers, is_known).transform(settle)  # what follows is joined to it from many sides
    decided = (
        outcomes.per_offer(assigned, shop.log)
        .join(F.broadcast(promotions), "promotion_id", "left")
        .withColumn("at", F.col("valid_from_at"))
        .withColumn("fold", F.pmod(F.xxhash64("user_id"), F.lit(2)))
    )
    baseline = context.per_user(decided.select("user_id", "at"), shop.log, baseline_days)
    days = decided.select("user_id", "at").distinct().join(segments.select("user_id", "as_of_on", "segment"), "user_id")
    before = days.where(F.col("as_of_on") <= F.to_date("at")).groupBy("user_id", "at")
    known = before.agg(F.max_by("segment", "as_of_on").alias("segment"))
    return decided.join(baseline, ["user_id", "at"]).join(known, ["user_id", "at"], "left")


def add_adjustments(subjects: DataFrame) -> DataFrame:
    """`subjects` (settled ones) and, per outcome, `expected_OUTCOME_sent`, `expected_OUTCOME_held`: what its users would do in either arm.

    Regressed on the baseline, fully interacted with being sent (Lin 2013), on the users of the other fold. Slopes are held near nought by
    a prior (ridge): free ones would fit the noise of a small shop, and an interval is valid with any fit, but wide with a poor one.
    """
    randomised = subjects.where("is_randomised")
    found = randomised.agg(*(F.stddev(value.cast("double")).alias(name) for name, value in _baseline().items())).first()
    # three digits: the last ones of a sum depend on the order of its rows; and what is constant may differ from nought by rounding
    scales = {
        name: float(f"{value:.3g}") if value and value > _ROUNDING else 1.0 for name, value in (found.asDict() if found else {}).items()
    }
    adjusted, design = subjects, partial(_design, scales=scales)
    for outcome in OUTCOMES:
        fits = bayes.linear(randomised, design(F.col("is_sent").cast("double")), F.col(outcome), F.lit(1.0), _priors())
        for name, arm in (("sent", 1.0), ("held", 0.0)):
            predicted = fits.cross(lambda fit, arm=arm: fit.predict(design(F.lit(arm))))  # type: ignore[misc]
            adjusted = adjusted.withColumn(f"expected_{outcome}_{name}", predicted)
    return adjusted


def _baseline() -> dict[str, Column]:
    window = (F.unix_timestamp("valid_until_at") - F.unix_timestamp("valid_from_at")) / 86400
    return {
        "one": F.lit(1.0),
        "margin": F.col("past_margin"),
        "spend": F.col("past_spend"),
        "orders": F.log1p("count_orders"),
        "views": F.log1p("count_views"),
        "days": F.log1p("count_days"),
        "recency": F.log1p("days_since_visit"),
        "window": window / 14,
        "window_views": window / 14 * F.log1p("count_views"),
    }


def _design(sent: Column, scales: Mapping[str, float]) -> dict[str, Column]:
    baseline = {name: value / F.lit(scales[name]) for name, value in _baseline().items()}
    return {**baseline, **{f"{name}_sent": value * sent for name, value in baseline.items()}}


def _priors() -> dict[str, bayes.Prior]:
    own = {name: _LEVEL if name == "one" else _SLOPE for name in _baseline()}
    return {name + suffix: prior for suffix in ("", "_sent") for name, prior in own.items()}
