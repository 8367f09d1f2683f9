"""All rows of table evaluations for the campaigns whose offers closed."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.evaluation import effects, observed, policies, ranking, subjects
from promoloop.frames import settle
from promoloop.offers import decisions
from promoloop.offers.decisions import Days
from promoloop.offers.log import Shop
from promoloop.settings.plan import EvaluationSettings


@dataclass(frozen=True)
class Due:
    """The runs to evaluate, and the days of the log they are evaluated by (None: it is empty)."""

    run_ids: list[str]
    log_days: Days | None


def per_metric(
    offers: DataFrame,
    log_days: Days | None,
    shop: Shop,
    segments: DataFrame,
    scores: DataFrame,
    truth_offers: DataFrame | None,
    explore_share: float,
    settings: EvaluationSettings,
) -> DataFrame:
    """One row per run, metric, scope and method.

    `offers` are those of `closed_on`, whole runs, of which what the log covers is evaluated; `segments` user_profiles and `scores`
    offer_scores of any days; `truth_offers` what the embedded shop knows, None elsewhere; `explore_share` the share of users that
    explored in runs that do not tell.
    """
    is_covered = decisions.is_covered(log_days)
    decided = subjects.per_decision(offers, shop, segments, settings.baseline_days, is_covered).transform(ranking.add_top)
    known = subjects.add_adjustments(settle(decided))
    planned = effects.per_scope(known.where("arm_group = 'planned'"))
    randomised = known.groupBy("run_id").agg(F.max("is_randomised").alias("_is_randomised"))
    drawn = randomised.where("_is_randomised").select("run_id")
    measured = effects.measure(planned.where("is_randomised"), settings.min_effective_users)
    counted = observed.counts(planned)
    others = offers.where(is_covered).join(F.broadcast(drawn), "run_id", "left_anti")
    direct = _collected(measured.unionByName(counted))
    rows = direct.unionByName(ranking.ratios(direct)).unionByName(ranking.qini(direct))
    rows = rows.unionByName(observed.associations(others, shop.log, shop.users))
    if not offers.where("arm = 'explore'").isEmpty():
        rows = rows.unionByName(_policies(known, offers, is_covered, scores, explore_share, settings.min_effective_users))
    if truth_offers is not None:
        sent = planned.where("is_sent").withColumn("as_of_on", F.to_date("issued_at"))
        rows = rows.unionByName(observed.truth(sent, truth_offers))
    money = (F.round(name, 6).alias(name) for name in ("value", "low", "high"))
    finished = rows.select("run_id", "metric", "scope", "method", *money, "count_treated", "count_control", "is_causal", "note")
    return _collected(finished)


def _collected(rows: DataFrame) -> DataFrame:
    """The same few rows, computed once: as many as runs, promotions and segments."""
    return rows.sparkSession.createDataFrame(rows.collect(), rows.schema)


def _policies(known: DataFrame, offers: DataFrame, is_covered: Column, scores: DataFrame, share: float, min_effective: int) -> DataFrame:
    """Explorers as logged: a 'no offer' decision has no promotion here, whatever it was compared with elsewhere.

    Only of runs whose explorers are all known: those with the shorter promotions alone would speak for all.
    """
    explored = offers.where("arm = 'explore'")
    partly = explored.where(~is_covered).select("run_id").distinct()
    logged = explored.join(F.broadcast(partly), "run_id", "left_anti").select("offer_id", "promotion_id", "propensity")
    explorers = known.where("arm_group = 'explore'").drop("promotion_id", "propensity").join(logged, "offer_id")
    runs = offers.select("run_id", F.to_date("issued_at").alias("as_of_on")).distinct()
    scored = scores.join(F.broadcast(runs), "as_of_on").select("run_id", "user_id", "promotion_id", "expected_profit")
    shared = explorers.join(F.broadcast(_explored(offers)), "run_id").fillna(share, ["explore_share"])
    return policies.of_explorers(shared, scored, min_effective)


def _explored(offers: DataFrame) -> DataFrame:
    """run_id, explore_share: what propensities of treated and withheld leave of one (`issuing.assign`); null where they say nothing of it.

    By the ledger, as the setting may have been another one when the run was issued.
    """
    planned = [F.avg(F.when(F.col("arm") == arm, F.col("propensity"))) for arm in ("treatment", "control")]
    share = F.round(1 - planned[0] - planned[1], 12)
    return offers.groupBy("run_id").agg(F.when(share > 0, share).alias("explore_share"))


def closed_on(offers: DataFrame, events: DataFrame, settings: EvaluationSettings) -> tuple[DataFrame, Due]:
    """All offers of the runs to evaluate (some windows may still be open), and which these are: none where the log is empty."""
    days = subjects.log_days(events)
    due = Due([] if days is None else subjects.due(offers, days, settings.lookback_days), days)
    return offers.where(F.col("run_id").isin(due.run_ids)) if due.run_ids else offers.limit(0), due
