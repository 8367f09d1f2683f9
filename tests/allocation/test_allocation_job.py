"""The job on a small shop: limits kept by SQL, rerun equal, floors and ceilings by kind of user, bad scores named."""

import importlib.util
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import builders
from promoloop import home, tables
from promoloop.cli import why
from promoloop.errors import UserError
from promoloop.settings import Settings

_spec = importlib.util.spec_from_file_location("allocate_promotions", home.root() / "jobs" / "allocate_promotions.py")
assert _spec is not None
assert _spec.loader is not None
allocate_promotions = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(allocate_promotions)

_USERS = 120
_REGIONS = ("north", "south")


def shop(spark: SparkSession, settings: Settings, **changes: dict[str, Any]) -> None:
    """Four promotions, 120 users; `changes` to a score by `user/promotion`."""
    rng = np.random.default_rng(1)
    promotions = [
        {"promotion_id": f"p{p}", "form": "discount", "budget": Decimal(60), "inventory": 25 if p == 0 else None} for p in range(4)
    ]
    tables.replace_table(builders.rows(spark, tables.PROMOTIONS, *promotions), settings, tables.PROMOTIONS)
    scores = []
    for user in range(_USERS):
        for p in range(4):
            row = {"user_id": f"u{user:03}", "promotion_id": f"p{p}", "region": _REGIONS[user % 2], "as_of_on": settings.run.as_of}
            row |= {
                "expected_profit": float(rng.gamma(2) * (1 + p) - 1),
                "expected_cost": float(rng.uniform(0.5, 3)),
                "profit_deviation": 0.1,
            }
            scores.append(row | changes.get(f"u{user:03}/p{p}", {}))
    tables.replace_day(builders.rows(spark, tables.OFFER_SCORES, *scores), settings, tables.OFFER_SCORES, settings.run.as_of)


def planned(spark: SparkSession, settings: Settings) -> DataFrame:
    scores = tables.read(spark, settings, tables.OFFER_SCORES).select(
        "user_id", "promotion_id", "region", "expected_cost", "expected_profit"
    )
    return tables.read(spark, settings, tables.ALLOCATIONS).join(scores, ["user_id", "promotion_id"], "left")


def test_a_plan_keeps_every_limit_and_comes_out_the_same_again(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("allocation.budget=100")
    shop(spark, settings)
    outcome = allocate_promotions.run(spark, settings)
    allocations = planned(spark, settings)
    own = allocations.groupBy("promotion_id").agg(F.sum("expected_cost"), F.count("*")).collect()
    assert sum(cost for _, cost, _ in own) <= 95
    assert all(cost <= 57 for _, cost, _ in own)
    assert {name: count for name, _, count in own}.get("p0", 0) <= 23
    assert allocations.count() == allocations.select("user_id").distinct().count() == outcome.rows_out > 20
    exact = allocations.where("value = expected_profit AND cost = expected_cost AND abs(reduced_value - value) < 1e9")
    assert exact.count() == outcome.rows_out
    plan = tables.read(spark, settings, tables.ALLOCATION_RESOURCES).where("resource = 'plan'").collect()[0]
    total = allocations.agg(F.sum("value")).collect()[0][0]
    assert plan["objective"] == pytest.approx(total, rel=1e-12)
    assert 0 <= plan["bound"] - total <= 0.005 * total
    before = tables.content_hash(tables.read(spark, settings, tables.ALLOCATIONS))
    allocate_promotions.run(spark, settings)
    assert tables.content_hash(tables.read(spark, settings, tables.ALLOCATIONS)) == before


def test_ceilings_and_floors_by_kind_of_user(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    most = '{by="region", which="north", measure="offers", at_most=20}'
    least = '{by="promotion", which="p0", measure="offers", at_least=15}'
    settings = settings_with("allocation.budget=100", f"allocation.limits=[{most}, {least}]")
    shop(spark, settings)
    allocate_promotions.run(spark, settings)
    allocations = planned(spark, settings)
    assert allocations.where("region = 'north'").count() == 19  # the ceiling binds, less the reserve
    assert allocations.where("promotion_id = 'p0'").count() >= 15
    resources = tables.read(spark, settings, tables.ALLOCATION_RESOURCES)
    assert resources.where("resource = 'floor:promotion:p0:offers'").collect()[0]["used"] >= 15


def test_a_score_that_is_no_number_is_named(spark: SparkSession, settings: Settings) -> None:
    shop(spark, settings, **{"u003/p2": {"expected_profit": float("nan")}})
    with pytest.raises(UserError, match=r"u003.*p2"):
        allocate_promotions.run(spark, settings)


def test_a_floor_no_plan_can_meet_is_named(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with('allocation.limits=[{by="promotion", which="p0", measure="offers", at_least=40}]')
    shop(spark, settings)
    with pytest.raises(UserError, match=r"floor:promotion:p0:offers by 17"):
        allocate_promotions.run(spark, settings)


def test_a_card_adds_up_to_what_the_plan_says(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("allocation.budget=100", 'allocation.limits=[{by="region", which="north", measure="offers", at_most=20}]')
    shop(spark, settings)
    allocate_promotions.run(spark, settings)
    plan = tables.read(spark, settings, tables.ALLOCATIONS).orderBy(F.desc("margin"), "user_id").limit(2).collect()
    for row in plan:
        best, *others = why.cards_of(spark, settings, row["user_id"])
        assert (best.promotion_id, best.value, best.cost) == (row["promotion_id"], row["value"], row["cost"])
        assert best.reduced_value == pytest.approx(row["reduced_value"], abs=1e-6)
        assert best.reduced_value - max(others[0].reduced_value, 0.0) == pytest.approx(row["margin"], abs=1e-6)
    assert why.cards_of(spark, settings, "nobody") == []
    other = settings_with("allocation.budget=100")
    with pytest.raises(UserError, match="other limits than the settings now state: region:north:offers"):
        why.cards_of(spark, other, "u000")
