"""The response model finds who responds, by how much, and at what cost; and knows when it knows nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

import builders
import randomised_shop
from promoloop import tables
from promoloop.offers import context, eligibility, log, response, scores
from promoloop.offers.log import Shop
from promoloop.settings import Settings

AS_OF = randomised_shop.AS_OF


def _scored(shop: randomised_shop.Tables, offers: DataFrame, settings: Settings) -> tuple[response.Response, DataFrame]:
    known = log.known(shop.events, shop.items, offers, 0.3, eligibility.midnight(AS_OF))
    whole = Shop(shop.users, shop.items, shop.promotions, known)
    learned = scores.train(offers, whole, AS_OF, settings.offers)
    return learned, scores.per_pair(learned, offers, whole, shop.profiles, AS_OF, settings.offers)


def test_effects_are_found_where_they_are(spark: SparkSession, settings: Settings) -> None:
    shop = randomised_shop.build(spark, users=1000)  # of fewer the prior still tells: 0.27 redeem among 500, 0.34 here, 0.35 among 2000
    learned, scored = _scored(shop, shop.past_offers, settings)
    assert learned.evidence == "randomised"
    assert learned.margin.rows == 1000
    tea = {row["segment"]: row for row in scored.where("promotion_id = 'tea-20'").groupBy("segment").agg(*_means()).collect()}
    assert tea["tea"]["p_redeem"] == pytest.approx(randomised_shop.REDEEMS, abs=0.08)
    assert tea["other"]["p_redeem"] < 0.1
    assert tea["tea"]["expected_cost"] == pytest.approx(4 * randomised_shop.REDEEMS, rel=0.3)
    assert tea["tea"]["expected_profit"] == pytest.approx(4 * randomised_shop.REDEEMS, abs=0.8)
    assert abs(tea["other"]["expected_profit"]) < 0.4
    assert 0 < tea["tea"]["profit_deviation"] < 2


def test_without_offers_of_sound_promotions_the_scores_are_the_prior(spark: SparkSession, settings: Settings) -> None:
    shop = randomised_shop.build(spark, users=60)
    rate = F.when(F.col("promotion_id") == "tea-10", 0.0).otherwise(F.col("discount_rate"))
    learned, scored = _scored(replace(shop, promotions=shop.promotions.withColumn("discount_rate", rate)), shop.past_offers, settings)
    assert learned.evidence == "prior"
    gift = scored.where("promotion_id = 'mug-gift'").first()
    assert gift is not None
    assert gift["p_redeem"] == pytest.approx(settings.offers.prior_redemption["gift"])
    assert gift["expected_cost"] == pytest.approx(2 * settings.offers.prior_redemption["gift"])
    assert gift["profit_deviation"] > 0


def test_offers_without_propensity_teach_redemption_but_no_effect(spark: SparkSession, settings: Settings) -> None:
    shop = randomised_shop.build(spark, users=200)
    learned, scored = _scored(shop, shop.past_offers.withColumn("propensity", F.lit(None).cast("double")), settings)
    assert learned.evidence == "observational"
    assert learned.redeems.rows > 50
    assert learned.margin.rows == 0
    shares = dict(zip(learned.margin.names, learned.margin.mean, strict=True))
    assert shares["share"] == settings.offers.prior_incremental_share
    assert scored.where("p_redeem > 0.3").count() > 0


def test_a_log_without_order_ids_and_with_a_ledger_older_than_it(spark: SparkSession) -> None:
    """One user takes two things out of the cart that were put in, buys two on a day; another buys one; a message went out before."""
    day = datetime(2026, 1, 10, tzinfo=UTC)
    bought = {"event_type": "purchase", "price": Decimal("10.00"), "occurred_at": day}
    carts = [{"user_id": "a", "event_type": "cart", "quantity": n, "occurred_at": day} for n in (None, 2, -1, -2)]
    events = [*carts, *({"user_id": "a", "quantity": n, **bought} for n in (1, 2)), {"user_id": "b", "quantity": 5, **bought}]
    stated = [{"event_id": f"{n}", "item_id": "i", **event} for n, event in enumerate(events)]
    items, users = builders.rows(spark, tables.ITEMS, {"item_id": "i"}), builders.rows(spark, tables.USERS, {"user_id": "a"})
    old = {"user_id": "a", "is_sent": True, "valid_from_at": day - timedelta(days=90)}
    known = log.known(builders.rows(spark, tables.EVENTS, *stated), items, builders.rows(spark, tables.PAST_OFFERS, old), 0.3)
    assert context.norms(known, users).select("norm_order").collect() == [(40.0,)]
    assert context.first_day(known) == day.date()
    moments = spark.createDataFrame([("a", day + timedelta(days=3))], "user_id string, at timestamp")
    seen = context.per_user(moments, known, 60).select("count_carts", "count_days", "interest", "known_days").collect()
    assert seen == [(2, 1, 2 * 4 + 2 * 10.0, 3.0)]


def test_only_eligible_pairs_are_scored(spark: SparkSession, settings: Settings) -> None:
    shop = randomised_shop.build(spark, users=8)
    users = shop.users.withColumn("has_consent", F.col("user_id") != "u0001").withColumn(
        "channels", F.when(F.col("user_id") == "u0003", F.array().cast("array<string>")).otherwise(F.col("channels"))
    )
    unsound = shop.promotions.withColumn(
        "gift_unit_cost", F.when(F.col("promotion_id") == "mug-gift", Decimal("99.00")).otherwise(F.col("gift_unit_cost"))
    )
    open_ones = eligibility.open_promotions(unsound, AS_OF, 14).withColumn("target_segment", F.lit("tea"))
    held = spark.createDataFrame([("u0000", "tea-20")], "user_id string, promotion_id string")
    pairs = eligibility.pairs(users, open_ones, shop.profiles, held)
    assert sorted((row["user_id"], row["promotion_id"]) for row in pairs.collect()) == [(f"u000{n}", "tea-20") for n in (2, 4, 6)]


def _means() -> list[Column]:
    return [F.avg(name).alias(name) for name in ("p_redeem", "expected_cost", "expected_profit", "profit_deviation")]
