"""score_offers, issue_offers and evaluate_promotions over tables: run twice, past and own campaigns, targeted ones."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from job_files import job
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import builders
import randomised_shop
from places import copied
from promoloop import registry, tables
from promoloop.errors import UserError
from promoloop.frames import settle
from promoloop.settings import Settings

RUN = "plan-2026-03-02"

score_offers, issue_offers, evaluate_promotions = (job(name) for name in ("score_offers", "issue_offers", "evaluate_promotions"))


def test_the_loop_from_scores_to_measured_effects(spark: SparkSession, scored: Settings, settings_with: Callable[..., Settings]) -> None:
    settings = copied(scored, settings_with("evaluation.min_effective_users=5", "execution.explore_share=0.1"))
    scores = tables.read(spark, settings, tables.OFFER_SCORES)
    first = tables.content_hash(scores)
    again = score_offers.run(spark, settings)
    assert again.figures["effects_rest_on"] == "randomised"
    assert again.rows_out == 480
    (card,) = registry.cards(settings)
    assert (card["name"], card["version"], card["effects_rest_on"]) == ("offer_response", "1", "randomised")
    assert card["figures"]["randomised_decisions"] == 240
    assert tables.content_hash(tables.read(spark, settings, tables.OFFER_SCORES)) == first

    for table in (tables.ALLOCATIONS, tables.ALLOCATION_RESOURCES):
        tables.create(spark, settings, table)
    with pytest.raises(UserError, match="there is no plan plan-2026-03-02: run allocate_promotions first"):
        issue_offers.run(spark, settings)
    _plan(spark, scores, settings)
    promotions = settle(tables.read(spark, settings, tables.PROMOTIONS).where("promotion_id = 'tea-20'"))
    tables.merge(promotions.withColumn("ends_at", F.lit(settings.run.as_of).cast("timestamp")), settings, tables.PROMOTIONS)
    with pytest.raises(UserError, match="promotion tea-20 of the plan is not open any more: run score_offers"):
        issue_offers.run(spark, settings)
    tables.merge(promotions, settings, tables.PROMOTIONS)
    issue_offers.run(spark, settings)
    offers = tables.read(spark, settings, tables.OFFERS)
    issued = tables.content_hash(offers)
    planned = tables.read(spark, settings, tables.ALLOCATIONS).transform(settle)
    tables.replace_run(planned.withColumn("promotion_id", F.lit("mug-gift")), settings, tables.ALLOCATIONS, RUN)
    assert issue_offers.run(spark, settings).figures["was_issued_before"]  # so another plan of the day adds nothing
    assert tables.content_hash(tables.read(spark, settings, tables.OFFERS)) == issued
    tables.replace_run(planned, settings, tables.ALLOCATIONS, RUN)
    assert job("allocate_promotions").run(spark, settings).figures["was_issued_before"]
    assert tables.content_hash(tables.read(spark, settings, tables.ALLOCATIONS)) == tables.content_hash(planned)
    arms = {row.arm: row["count"] for row in offers.groupBy("arm").count().collect()}
    assert set(arms) == {"treatment", "control", "explore"}
    assert offers.where("is_sent and code is null or not is_sent and code is not null").isEmpty()
    sent = spark.read.option("header", True).csv(str(Path(settings.paths.out) / "channels" / RUN))
    assert sent.select("offer_id").exceptAll(offers.where("is_sent").select("offer_id")).isEmpty()
    assert sent.count() == offers.where("is_sent").count()

    _respond(spark, offers, settings)
    early = {"metric": "effective_users", "scope": "all", "method": "refused"}
    told = builders.rows(spark, tables.EVALUATIONS, *({"run_id": run, **early} for run in ("campaign-1", "campaign-0")))
    tables.replace_table(told, settings, tables.EVALUATIONS)
    evaluate_promotions.run(spark, settings)
    rows = tables.read(spark, settings, tables.EVALUATIONS)
    measured = tables.content_hash(rows)
    fewer = settings.execution.model_copy(update={"explore_share": 0.05})  # set for the next run: what was issued was issued by the ledger
    evaluate_promotions.run(spark, settings.model_copy(update={"execution": fewer}))
    assert tables.content_hash(tables.read(spark, settings, tables.EVALUATIONS)) == measured
    found = {(row.run_id, row.metric, row.scope, row.method): row for row in rows.collect()}
    assert [run for run in ("campaign-1", "campaign-0") if (run, *early.values()) in found] == ["campaign-0"]  # not evaluated: it stays
    past = found[("campaign-1", "incremental_profit_per_user", "all", "cuped")]
    assert past.is_causal
    assert abs(past.value - 4 * randomised_shop.REDEEMS / 2) < 0.75 * (past.high - past.low)  # three standard errors
    own = found[(RUN, "incremental_profit_per_user", "all", "doubly_robust")]
    assert own.low < 4 < own.high
    assert found[(RUN, "spend", "all", "observed")].value == pytest.approx(2 * arms["treatment"])
    assert (RUN, "incremental_profit_per_user", "segment:tea", "cuped") in found
    assert not any(key[0] == "campaign-1" and key[2].startswith("segment:") for key in found)  # profiles are from after that campaign


def test_targeted_campaigns_are_associations(spark: SparkSession, scored: Settings, settings_with: Callable[..., Settings]) -> None:
    settings = copied(scored, settings_with("evaluation.min_effective_users=5"))
    past = tables.read(spark, scored, tables.PAST_OFFERS)
    targeted = past.where("is_sent").withColumn("propensity", F.lit(None).cast("double"))
    begins = datetime(2026, 3, 5, tzinfo=UTC)  # issued before the day, to begin after it
    held = {"user_id": "u0000", "promotion_id": "tea-20", "valid_from_at": begins, "valid_until_at": begins + timedelta(days=9)}
    later = builders.rows(spark, tables.PAST_OFFERS, {"arm": "treatment", **held})
    tables.replace_table(targeted.unionByName(later), settings, tables.PAST_OFFERS)
    assert score_offers.run(spark, settings).figures["effects_rest_on"] == "observational"
    scores = tables.read(spark, settings, tables.OFFER_SCORES).where("user_id = 'u0000'").select("promotion_id")
    assert [row.promotion_id for row in scores.collect()] == ["mug-gift"]
    evaluate_promotions.run(spark, settings)
    rows = tables.read(spark, settings, tables.EVALUATIONS).collect()
    assert {row.method for row in rows} == {"observational", "observed"}
    assert not any(row.is_causal for row in rows)
    gap = next(row for row in rows if row.metric == "profit_change_gap")
    assert gap.count_control + gap.count_treated == 240


def _plan(spark: SparkSession, scores: DataFrame, settings: Settings) -> None:
    """Everybody who does not explore gets the tea discount."""
    all_tea = scores.where("promotion_id = 'tea-20'").select(
        F.lit(RUN).alias("run_id"), "user_id", "promotion_id", "as_of_on", F.col("expected_profit").alias("value"),
        F.col("expected_cost").alias("cost"), F.col("expected_profit").alias("reduced_value"),
        F.lit(None).cast("string").alias("runner_up_id"), F.lit(0.0).alias("margin"), F.lit("tea").alias("reason"),
    )  # fmt: skip
    tables.replace_run(all_tea, settings, tables.ALLOCATIONS, RUN)
    resources = builders.rows(spark, tables.ALLOCATION_RESOURCES, {"run_id": RUN, "resource": "budget", "capacity": 1000.0})
    tables.replace_run(resources, settings, tables.ALLOCATION_RESOURCES, RUN)


def _respond(spark: SparkSession, offers: DataFrame, settings: Settings) -> None:
    """Every sent tea discount is redeemed by an order that earns 6.00 and costs 2.00; a view at the end closes the log."""
    at = datetime(2026, 3, 5, tzinfo=UTC)
    filler = {"event_id": "x", "event_type": "view", "user_id": "u0000", "occurred_at": at, "occurred_on": at.date()}
    row = builders.rows(spark, tables.EVENTS, filler)
    redeemed = offers.where("is_sent and promotion_id = 'tea-20'").select("user_id", "offer_id")
    blank = row.drop(
        "event_id", "event_type", "user_id", "offer_id", "promotion_id", "order_id", "item_id", "price", "quantity", "concession"
    )
    order = F.concat(F.lit("o-"), F.col("offer_id"))
    both = redeemed.crossJoin(blank)
    bought = both.select(
        *blank.columns, F.concat(F.lit("buy-"), "offer_id").alias("event_id"), F.lit("purchase").alias("event_type"), "user_id",
        F.lit(None).cast("string").alias("offer_id"), F.lit(None).cast("string").alias("promotion_id"), order.alias("order_id"),
        F.lit("tea-1").alias("item_id"), F.lit(Decimal("12.00")).cast("decimal(18,2)").alias("price"), F.lit(1).alias("quantity"),
        F.lit(None).cast("decimal(18,2)").alias("concession"),
    )  # fmt: skip
    conceded = both.select(
        *blank.columns, F.concat(F.lit("redeem-"), "offer_id").alias("event_id"), F.lit("offer_redeem").alias("event_type"), "user_id",
        "offer_id", F.lit("tea-20").alias("promotion_id"), order.alias("order_id"), F.lit(None).cast("string").alias("item_id"),
        F.lit(None).cast("decimal(18,2)").alias("price"), F.lit(None).cast("int").alias("quantity"),
        F.lit(Decimal("2.00")).cast("decimal(18,2)").alias("concession"),
    )  # fmt: skip
    last = at + timedelta(days=30)
    end = builders.rows(spark, tables.EVENTS, {**filler, "event_id": "end", "occurred_at": last, "occurred_on": last.date()})
    new = bought.unionByName(conceded).select(*end.columns).unionByName(end)
    tables.merge(new, settings, tables.EVENTS)
