"""The job on a small shop: limits kept by SQL, rerun equal, floors and ceilings by kind of user, bad scores named."""

import importlib.util
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import builders
from promoloop import allocation, home, tables
from promoloop.allocation.blocks import BlockScan
from promoloop.allocation.reasons import add_reasons
from promoloop.cli import lookup, why
from promoloop.errors import UserError
from promoloop.offers import arms
from promoloop.report import audit
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
    for _ in range(2):  # the second time by what is remembered of the first
        with pytest.raises(UserError, match=r"floor:promotion:p0:offers by 17 \(to 23 from 40\)"):
            allocate_promotions.run(spark, settings)


def test_a_card_adds_up_to_what_the_plan_says(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("allocation.budget=100", 'allocation.limits=[{by="region", which="north", measure="offers", at_most=20}]')
    shop(spark, settings)
    allocate_promotions.run(spark, settings)
    plan = tables.read(spark, settings, tables.ALLOCATIONS).orderBy(F.desc("margin"), "user_id").limit(2).collect()
    quick, slow = lookup.without_spark(settings), lookup.by_spark(spark, settings)
    for row in plan:
        best, *others = why.cards_of(quick, settings, row["user_id"])
        assert [best, *others] == why.cards_of(slow, settings, row["user_id"])
        assert (best.promotion_id, best.value, best.cost) == (row["promotion_id"], row["value"], row["cost"])
        assert best.reduced_value == pytest.approx(row["reduced_value"], abs=1e-6)
        assert best.reduced_value - max(others[0].reduced_value, 0.0) == pytest.approx(row["margin"], abs=1e-6)
    assert why.cards_of(quick, settings, "nobody") == []
    with pytest.raises(UserError, match=r"no plan of 2026-03-03: run allocate_promotions first"):
        why.cards_of(quick, settings.model_copy(update={"run": settings.run.model_copy(update={"as_of": date(2026, 3, 3)})}), "u000")


def test_a_reason_says_who_is_ahead_and_who_had_to_give_way(spark: SparkSession) -> None:
    rows = [(5.0, 3.0, "p2", 0.5), (5.0, 3.0, None, -0.001), (5.0, 3.0, "p2", -0.25)]
    plan = spark.createDataFrame(rows, "value double, reduced_value double, runner_up_id string, margin double")
    assert [row["reason"].split("; ")[1] for row in add_reasons(plan).collect()] == [
        "ahead of promotion p2 by 0.50",
        "ahead of no offer by 0.00",
        "promotion p2 would leave 0.25 more, but not all may have it",
    ]


def _sent(user: str, promotion: str, days_ago: int, settings: Settings) -> dict[str, Any]:
    at = datetime.combine(settings.run.as_of - timedelta(days=days_ago), time(9))
    row = {"offer_id": f"{user}/{promotion}/{days_ago}", "run_id": "before", "user_id": user, "promotion_id": promotion, "is_sent": True}
    return row | {"arm": "treatment", "valid_from_at": at, "valid_until_at": at + timedelta(days=1), "issued_at": at}


def test_a_promotion_has_left_what_earlier_nights_did_not_send(spark: SparkSession, settings: Settings) -> None:
    stated = [("p0", Decimal(60), 25), ("p1", Decimal(2), None), ("p2", None, 1)]
    begun = datetime.combine(settings.run.as_of - timedelta(days=10), time(0))
    promotions = builders.rows(
        spark,
        tables.PROMOTIONS,
        *({"promotion_id": name, "budget": budget, "inventory": stock, "starts_at": begun} for name, budget, stock in stated),
    )
    sent = [_sent(f"u{n:03}", name, ago, settings) | {"expected_cost": 1.25} for n in range(3) for name in ("p0", "p1") for ago in (0, 9)]
    sent += [_sent("u000", "p2", ago, settings) | {"is_sent": is_sent} for ago, is_sent in ((3, True), (4, True), (5, False))]
    sent += [_sent("u000", "p0", 11, settings)]  # for an earlier window
    left = allocation.left_of(promotions, builders.rows(spark, tables.PAST_OFFERS, *sent), settings.run.as_of)
    assert left.schema == promotions.schema
    assert {(row["promotion_id"], row["budget"], row["inventory"]) for row in left.collect()} == {
        ("p0", Decimal("56.25"), 22),
        ("p1", Decimal(0), None),
        ("p2", None, 0),
    }


def test_several_offers_each_within_groups_and_cadence(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with(
        "allocation.budget=300",
        "allocation.offers_per_user=2",
        'allocation.exclusive=[["p2", "p3"]]',
        "allocation.most_in_7_days=2",
        "allocation.cool_down_days={gift=20}",
        "execution.holdout_share=0.2",
    )
    shop(spark, settings)
    forms = spark.createDataFrame([("p1", "gift")], "promotion_id string, form string")
    tables.merge(tables.read(spark, settings, tables.PROMOTIONS).drop("form").join(forms, "promotion_id"), settings, tables.PROMOTIONS)
    before = [_sent("u000", "p0", 3, settings), _sent("u000", "p0", 5, settings), _sent("u001", "p0", 6, settings)]
    before += [_sent("u002", "p1", 20, settings), _sent("u003", "p1", 21, settings), _sent("u004", "p0", 0, settings)]
    begins = datetime.combine(settings.run.as_of + timedelta(days=5), time(9))
    before.append(_sent("u006", "p1", 20, settings) | {"valid_from_at": begins, "valid_until_at": begins + timedelta(days=1)})
    tables.merge(builders.rows(spark, tables.PAST_OFFERS, *before), settings, tables.PAST_OFFERS)
    ledger, promotions = (tables.read(spark, settings, table) for table in (tables.PAST_OFFERS, tables.PROMOTIONS))
    recent = allocation.recent(ledger, promotions, settings.run.as_of, settings.allocation)
    known = {row["promotion_id"]: row["form"] for row in promotions.collect()}
    for row in recent.collect():
        own = lookup.without_spark(settings)(tables.PAST_OFFERS, user_id=row["user_id"])
        said = allocation.recent_of(own, known, settings.run.as_of, settings.allocation)
        assert {"user_id": row["user_id"], **said} == row.asDict()
    allocate_promotions.run(spark, settings)
    given: dict[str, set[str]] = {}
    for row in planned(spark, settings).collect():
        given.setdefault(row["user_id"], set()).add(row["promotion_id"])
    assert max(len(own) for own in given.values()) == 2
    assert not any({"p2", "p3"} <= own for own in given.values())
    assert "u000" not in given
    assert len(given.get("u001", ())) <= 1
    assert "p1" not in given.get("u002", ())
    assert "p1" not in given.get("u006", ())  # written to, of what has yet to begin
    quick = lookup.without_spark(settings)
    assert quick is not None
    for user, most in (("u000", 0), ("u001", 1), ("u005", 2)):
        cards = why.under_cadence(why.cards_of(quick, settings, user), quick, settings, user)[0]
        taken = [card.promotion_id for card in cards if card.promotion_id in given.get(user, ())]
        assert taken == [card.promotion_id for card in cards if card.left > 1e-9][: len(taken)]  # but for exclusive groups, the best
        assert max(card.left for card in cards) > 0 or not taken
        assert any(card.cadence > 0 for card in cards) == (sum(card.reduced_value > 0 for card in cards) > most)
    out = spark.createDataFrame([(f"u{n:03}",) for n in range(_USERS)], "user_id string").where(arms.is_holdout(F.col("user_id"), 0.2))
    held = {row["user_id"] for row in out.collect()}
    assert 10 < len(held) < 40
    assert not held & set(given)
    resources = tables.read(spark, settings, tables.ALLOCATION_RESOURCES)
    scores = tables.read(spark, settings, tables.OFFER_SCORES)
    judged = audit.violations(tables.read(spark, settings, tables.ALLOCATIONS), scores, resources, offers_per_user=2).collect()[0]
    assert sum(judged[name] for name in judged.asDict() if name != "run_id") == 0


def test_equal_treatment_and_a_minimum_once_it_runs(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    equal = '{by="region", which="*", measure="offers", disparity=0.1}'
    enough = '{by="promotion", which="p0", measure="offers", at_least=22, once_it_runs=true}'
    settings = settings_with("allocation.budget=60", f"allocation.limits=[{equal}, {enough}]")
    poor = {f"u{user:03}/p{p}": {"expected_profit": -1.0} for user in range(40) for p in range(4) if user % 2 == 0}
    shop(spark, settings, **poor)
    allocate_promotions.run(spark, settings)
    allocations = planned(spark, settings)
    north, south = (allocations.where(F.col("region") == region).count() for region in _REGIONS)
    assert north > 0
    assert abs(north / (north + south) - 0.5) <= 0.06
    assert allocations.where("promotion_id = 'p0'").count() in (0, 22, 23)
    resources = tables.read(spark, settings, tables.ALLOCATION_RESOURCES)
    plan = resources.where("resource = 'plan'").collect()[0]
    assert plan["bound"] >= plan["objective"] > 0
    scores = tables.read(spark, settings, tables.OFFER_SCORES)
    judged = audit.violations(tables.read(spark, settings, tables.ALLOCATIONS), scores, resources).collect()[0]
    assert sum(judged[name] for name in judged.asDict() if name != "run_id") == 0


def test_a_solve_that_was_killed_does_not_pack_again(
    spark: SparkSession, settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with("allocation.budget=100")
    shop(spark, settings)
    allocate_promotions.run(spark, settings)
    plan = tables.read(spark, settings, tables.ALLOCATIONS)
    undisturbed = tables.content_hash(plan)
    shop(spark, settings)  # the same scores in a new version: nothing is remembered of them
    packed: list[int] = []
    price, write = BlockScan.price, BlockScan.write

    def dies(*_: Any) -> Any:
        raise KeyboardInterrupt

    def noted(*asked: Any) -> None:
        packed.append(1)
        write(*asked)

    monkeypatch.setattr(BlockScan, "price", dies)
    monkeypatch.setattr(BlockScan, "write", noted)
    with pytest.raises(KeyboardInterrupt):
        allocate_promotions.run(spark, settings)
    monkeypatch.setattr(BlockScan, "price", price)
    allocate_promotions.run(spark, settings)
    assert packed == [1]
    assert tables.content_hash(plan) == undisturbed
    monkeypatch.setattr(BlockScan, "price", dies)
    allocate_promotions.run(spark, settings)  # the last pass is remembered too
    assert tables.content_hash(plan) == undisturbed
