"""The menu of variants: terms by form, faulty ones left out; and their scores are those score_offers would give."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import builders
import randomised_shop
from promoloop import tables
from promoloop.offers import eligibility, log, scores, variants
from promoloop.offers.log import Shop
from promoloop.offers.variants import Levels
from promoloop.settings import Settings

AS_OF = randomised_shop.AS_OF


def test_terms_follow_the_form_and_faulty_ones_are_left_out(spark: SparkSession) -> None:
    stated = [
        {"promotion_id": "d", "form": "discount", "discount_rate": 0.4},
        {"promotion_id": "f", "form": "flash_sale", "discount_rate": 0.4, "inventory": 5},
        {"promotion_id": "g", "form": "gift", "gift_unit_cost": Decimal("3.00")},
        {"promotion_id": "s", "form": "spend_threshold", "threshold": Decimal(50), "discount_amount": Decimal(5)},
    ]
    window = {"starts_at": randomised_shop.FIRST, "ends_at": randomised_shop.FIRST + timedelta(days=90)}
    promotions = builders.rows(spark, tables.PROMOTIONS, *({**one, **window} for one in stated))
    listed = [row.asDict() for row in eligibility.open_promotions(promotions, AS_OF, 14).orderBy("promotion_id").collect()]
    menu = variants.menu(spark, listed, Levels((0.1, 0.2), (0.0, 1.5), (3, 30)), 20.0, AS_OF + timedelta(days=14))
    by_levels = {(one.promotion_id, one.levels): one.terms for one in menu}
    assert by_levels["d", None]["discount_rate"] == 0.4
    assert (by_levels["d", (1, 1, 0)]["discount_rate"], by_levels["d", (1, 1, 0)]["threshold"]) == (0.2, Decimal("30.00"))
    assert by_levels["d", (1, 0, 0)]["threshold"] is None
    assert (by_levels["s", (0, 1, 0)]["threshold"], by_levels["s", (0, 1, 0)]["discount_amount"]) == (Decimal("30.00"), Decimal("3.00"))
    assert ("s", (0, 0, 0)) not in by_levels  # a concession off nothing spent
    assert by_levels["g", (1, 0, 1)]["threshold"] == Decimal("15.00")
    assert {levels[1] for name, levels in by_levels if levels and name in "fg"} == {0}
    days = [(terms["valid_until_at"] - terms["valid_from_at"]).days for terms in (by_levels["f", (0, 0, 0)], by_levels["f", (0, 0, 1)])]
    assert days == [3, 14]  # the second is cut at the horizon


def test_a_variant_is_scored_as_the_promotion_it_would_be(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with()
    shop = randomised_shop.build(spark, users=60)
    known = log.known(shop.events, shop.items, shop.past_offers, 0.3, eligibility.midnight(AS_OF))
    whole = Shop(shop.users, shop.items, shop.promotions, known)
    learned = scores.train(shop.past_offers, whole, AS_OF, settings.offers)
    promotions = eligibility.open_promotions(shop.promotions, AS_OF, 14)
    listed = [row.asDict() for row in promotions.orderBy("promotion_id").collect()]
    menu = variants.menu(spark, listed, Levels((0.35,), (1.0,), (5,)), variants.mean_order(whole), AS_OF + timedelta(days=14))
    asked = variants.drawn(shop.users, "run", 0.5)
    assert 10 < asked.count() < 50
    table = variants.rows(spark, menu)
    scored = variants.scored(table, promotions, asked, learned, whole, shop.profiles, AS_OF, settings.offers)
    rows = {(row["user_id"], menu[row["variant"]].promotion_id, menu[row["variant"]].levels): row for row in scored.collect()}
    assert len(rows) == asked.count() * len(menu) == asked.count() * 4
    tea = menu[[one.promotion_id for one in menu].index("tea-20") + 1].terms
    changed = shop.promotions.withColumns({
        "discount_rate": F.when(F.col("promotion_id") == "tea-20", 0.35).otherwise(F.col("discount_rate")),
        "threshold": F.when(F.col("promotion_id") == "tea-20", F.lit(tea["threshold"])).otherwise(F.col("threshold")),
        "ends_at": F.when(F.col("promotion_id") == "tea-20", F.lit(tea["valid_until_at"])).otherwise(F.col("ends_at")),
    })  # fmt: skip
    for promotions_then, levels in ((shop.promotions, None), (changed, (0, 0, 0))):
        then = Shop(shop.users, shop.items, promotions_then, known)
        own = scores.per_pair(learned, shop.past_offers, then, shop.profiles, AS_OF, settings.offers)
        for row in own.join(asked, "user_id", "left_semi").where("promotion_id = 'tea-20'").collect():
            found = rows[row["user_id"], "tea-20", levels]
            for name in ("expected_cost", "expected_profit", "expected_revenue", "satisfaction", "profit_deviation"):
                assert found[name] == pytest.approx(row[name], abs=2e-6), name
