"""Designs on a ground worked out by hand; breeding against brute force; what is chosen, told and offered."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession

import builders
from promoloop import tables
from promoloop.allocation import design
from promoloop.allocation.design import Design, Front, Ground, Judged, Sampled
from promoloop.errors import UserError
from promoloop.offers.variants import Variant
from promoloop.settings import Settings
from promoloop.settings.plan import Limit

_START = datetime(2026, 3, 2, tzinfo=UTC)


def candidate(name: str, **stated: Any) -> dict[str, Any]:
    row = {"promotion_id": name, "form": "discount", "scope_category": None, "budget": Decimal(40), "inventory": None}
    return row | {"valid_from_at": _START, "valid_until_at": _START + timedelta(days=14)} | stated


def variant(name: str, levels: tuple[int, int, int] | None, rate: float = 0.1) -> Variant:
    terms = {"form": "discount", "threshold": None, "discount_rate": rate, "discount_amount": None, "gift_unit_cost": None}
    return Variant(name, levels, terms | {"valid_from_at": _START, "valid_until_at": _START + timedelta(days=7)})


@pytest.fixture
def ground(settings: Settings) -> Ground:
    """Two candidates, each as today, shallow and deep; 100 users, the sample being everybody.

    a: today 1.5, shallow 2, deep 1 of profit for a cost of 0.5, 0.5, 1 and satisfaction of 0.1, 0.1, 0.9; b earns half as much and
    pleases alike.
    """
    profit = np.repeat([[1.5], [2.0], [1.0], [0.75], [1.0], [0.5]], 100, axis=1)
    cost = np.repeat([[0.5], [0.5], [1.0]] * 2, 100, axis=1)
    pleased = np.repeat([[0.1], [0.1], [0.9]] * 2, 100, axis=1)
    sampled = Sampled(profit, cost, profit, pleased, np.zeros(100, np.int16), [], 1.0)
    menu = [variant(name, levels) for name in ("a", "b") for levels in (None, (0, 0, 0), (1, 0, 0))]
    own = settings.allocation.model_copy(update={"budget": 60.0})
    return design.ground_of(sampled, [candidate("b"), candidate("a", inventory=30)], menu, own, 0.0)


def test_a_design_is_worth_what_its_plan_is(ground: Ground) -> None:
    """Stock lets 30 of a go (cost 15), the 45 left buy 70 of b at most: all others get one, for 35."""
    judged = ground.judge([1, 4], [None, None])
    assert judged.offers == pytest.approx([30, 70], rel=0.02)
    assert judged.profit == pytest.approx(30 * 2 + 70 * 1, rel=0.02)
    assert judged.satisfaction == pytest.approx(10, rel=0.02)
    assert judged.costs.sum() <= 60 + 1e-9


def test_a_design_is_judged_where_groups_are_to_be_treated_alike(ground: Ground, settings: Settings) -> None:
    limit = Limit(by="region", which="north", measure="offers", disparity=0.1)
    own = settings.allocation.model_copy(update={"budget": 60.0, "limits": [limit]})
    sampled = replace(ground.sampled, cell=np.repeat([0, 1], 50).astype(np.int16), cells=[Row(region="north"), Row(region="south")])
    alike = design.ground_of(sampled, [candidate("b"), candidate("a", inventory=30)], ground.variants, own, 0.0)
    assert alike.judge([1, 4], [None, None]).profit == pytest.approx(ground.judge([1, 4], [None, None]).profit, rel=0.05)


def test_budgets_of_a_design_are_kept(ground: Ground) -> None:
    judged = ground.judge([1, 5], [None, 12.0])
    assert judged.costs[1] <= 12 + 1e-9
    assert judged.offers[1] == pytest.approx(12, rel=0.05)
    assert ground.judge([-1, -1], [None, None]).profit == 0.0


def test_breeding_finds_the_front_that_brute_force_does(ground: Ground, settings_with: Callable[..., Settings]) -> None:
    asked = ("depths=[0.1,0.3]", "thresholds=[0.0]", "days=[7]", "budget_levels=[0.5,1.0]", "population=20", "generations=15")
    own = settings_with(*(f"design.{one}" for one in asked)).design
    front = design.bred(ground, own, seed=3)
    found = [(one.judged.profit, one.judged.satisfaction) for one in front.designs]
    assert found == sorted(found, key=lambda aims: (-aims[0], aims[1]))
    assert len(found) >= 3
    every = [
        ground.judge(variants, budgets)
        for variants in product((-1, 1, 2), (-1, 4, 5))
        for budgets in product(*((None,) if v < 0 else (30.0, None) for v in variants))
    ]
    best = [one for one in every if not any(o.profit >= one.profit and o.satisfaction > one.satisfaction for o in every)]
    for one in best:
        assert any(p >= one.profit - 1e-3 * 200 and s >= one.satisfaction - 1e-3 * 100 for p, s in found), one
    assert front.today.judged.profit == pytest.approx(30 * 1.5 + 70 * 0.75, rel=0.02)
    again = design.bred(ground, own, seed=3)
    assert [one.variants for one in again.designs] == [one.variants for one in front.designs]
    for one in front.designs:
        assert all(given >= 1 for given, variant in zip(one.judged.offers, one.variants, strict=True) if variant >= 0)


def judged(profit: float, satisfaction: float) -> Design:
    parts = np.zeros(1)
    return Design((0,), (None,), Judged(profit, satisfaction, parts, parts, parts))


def test_the_chosen_design_is_the_one_asked_for() -> None:
    front = Front((judged(10, 0), judged(9, 8), judged(2, 10)), judged(5, 5))
    assert [design.chosen(front, how) for how in ("profit", "satisfaction", "balanced", "3", "0")] == [1, 3, 2, 3, 0]
    for wrong in ("4", "best", "-1"):
        with pytest.raises(UserError, match=f"design.choose={wrong}"):
            design.chosen(front, wrong)


def test_a_design_as_promotions_and_as_rows(ground: Ground) -> None:
    one = Design((2, -1), (30.0, None), ground.judge([2, -1], [30.0, None]))
    (row,) = design.promotions_of(ground, one)
    assert (row["promotion_id"], row["budget"], row["inventory"]) == ("a", Decimal("30.00"), 30)
    assert (row["starts_at"], row["ends_at"]) == (_START, _START + timedelta(days=7))
    told = design.told(ground, Front((one,), one), 1, "run")
    assert [(r["design"], r["promotion_id"], r["is_run"], r["is_chosen"]) for r in told] == [
        *((0, "a", True, False), (0, "b", False, False)),
        *((1, "a", True, True), (1, "b", False, True)),
    ]
    assert told[1]["discount_rate"] is None
    assert sum(r["expected_profit"] for r in told[2:]) == pytest.approx(one.judged.profit)


def test_a_design_needs_a_total_budget(ground: Ground, settings: Settings) -> None:
    with pytest.raises(UserError, match=r"allocation\.budget"):
        design.ground_of(ground.sampled, [candidate("a", budget=None)], ground.variants, settings.allocation, 0.0)


def test_the_chosen_design_leaves_those_in_peace_whose_form_rests(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("allocation.cool_down_days={discount=30}")
    worth = {"promotion_id": "a", "expected_profit": 2.0, "expected_revenue": 5.0, "expected_cost": 1.0, "satisfaction": 0.1}
    scored = builders.rows(spark, tables.OFFER_SCORES, *({"user_id": f"u{n}", **worth} for n in range(6)))
    lately = spark.createDataFrame(
        [("u1", 1, 1, ["discount"]), ("u2", 1, 1, ["gift"])], "user_id string, _sent_7 int, _sent_30 int, _resting array<string>"
    )
    scratch = f"{settings.paths.checkpoints}/design"
    found = design.solved(scored, lately, [candidate("a")], settings.allocation, 100.0, 0.0, scratch, 1)
    assert found.offers == 5
    assert found.profit == pytest.approx(10.0)
