from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from builders import rows
from promoloop import tables
from promoloop.report import audit, gather

RUN = "plan-2026-03-02"
DAY = date(2026, 3, 2)


def profiles(spark: SparkSession, **segments: int) -> DataFrame:
    """So many users per segment; user ids are SEGMENT-NUMBER."""
    people = [{"user_id": f"{name}-{n}", "segment": name, "as_of_on": DAY} for name, users in segments.items() for n in range(users)]
    return rows(spark, tables.USER_PROFILES, *people)


def offers(spark: SparkSession, *groups: tuple[str, str, int]) -> DataFrame:
    """So many sent offers of (promotion, segment); offer ids are PROMOTION-USER."""
    sent = [
        {"offer_id": f"{p}-{s}-{n}", "run_id": RUN, "user_id": f"{s}-{n}", "promotion_id": p, "arm": "treatment",
         "expected_value": 2.0, "expected_cost": 0.5}
        for p, s, users in groups for n in range(users)
    ]  # fmt: skip
    return rows(spark, tables.OFFERS, *sent)


def told(shares: list[Any]) -> dict[tuple[str, str], int | None]:
    return {(row["promotion_id"], row["segment"]): row["users"] for row in shares}


def test_groups_under_k_are_withheld_and_cannot_be_had_from_the_total(spark: SparkSession) -> None:
    frames = {
        "offers": offers(spark, ("P1", "loyal", 9), ("P1", "new", 5), ("P1", "lapsed", 3), ("P2", "loyal", 4), ("P2", "new", 6)),
        "user_profiles": profiles(spark, loyal=9, new=6, lapsed=3),
    }
    shares = told(gather.shares_by_segment(frames, k=4))
    assert shares == {
        ("P1", "loyal"): 9,
        ("P1", "new"): None,  # lapsed alone would be total - loyal - new
        ("P1", "lapsed"): None,
        ("P2", "loyal"): 4,
        ("P2", "new"): 6,
    }


def test_segments_and_categories_of_few_users_are_left_out(spark: SparkSession) -> None:
    lists = [
        {"user_id": f"loyal-{n}", "rank": 1, "as_of_on": DAY, "item_id": "milk" if n < 5 else "wine", "parts": {}, "reason": "r"}
        for n in range(7)
    ]
    frames = {
        "user_profiles": profiles(spark, loyal=7, new=3),
        "items": rows(spark, tables.ITEMS, {"item_id": "milk", "category": "dairy"}, {"item_id": "wine", "category": "drinks"}),
        "item_recommendations": rows(spark, tables.ITEM_RECOMMENDATIONS, *lists),
    }
    report = gather.facts(frames, "shop", k=4)
    assert report.segments == (("loyal", 7),)
    assert [(row.segment, row.category, row.users) for row in report.recommended] == [("loyal", "dairy", 5)]


def test_facts_add_up_batches_offers_and_redemptions(spark: SparkSession) -> None:
    batch = {"rows_received": 10, "rows_accepted": 6, "rows_rejected": 3, "rows_duplicate": 1}
    redeemed = {"event_id": "e1", "event_type": "offer_redeem", "offer_id": "P1-loyal-0", "concession": Decimal("4.00")}
    frames = {
        "batches": rows(
            spark,
            tables.BATCHES,
            {"batch_id": "a", **batch, "reasons": {"price": 2, "user": 2}},
            {"batch_id": "b", **batch, "reasons": {"price": 1}},
            {"batch_id": "b", "take": -1, "rows_received": 0, "rows_accepted": 1, "rows_rejected": -1, "rows_duplicate": 0},
        ),
        "offers": offers(spark, ("P1", "loyal", 4)),
        "events": rows(spark, tables.EVENTS, redeemed),
        "promotions": rows(spark, tables.PROMOTIONS, {"promotion_id": "P1", "name": "Milk at half price", "form": "discount"}),
        "allocation_resources": rows(
            spark,
            tables.ALLOCATION_RESOURCES,
            {"run_id": RUN, "resource": "plan", "objective": 9.0, "bound": 10.0, "gap": 0.1, "count_passes": 3, "seconds_per_pass": 0.5},
            {"run_id": RUN, "resource": "budget", "capacity": 5.0, "used": 4.5, "shadow_price": 1.8, "quantity": "cost"},
        ),
        "evaluations": rows(
            spark,
            tables.EVALUATIONS,
            {"run_id": RUN, "metric": "incremental_profit", "scope": "all", "method": "difference", "value": 3.0, "low": -1.0, "high": 7.0},
            {"run_id": RUN, "metric": "incremental_profit", "scope": "all", "method": "cuped", "value": 4.0, "low": 1.0, "high": 7.0},
            {"run_id": "campaign-1", "metric": "profit_change_gap", "scope": "all", "value": 1.0, "low": 0.5, "count_treated": 3},
            {"run_id": "campaign-2", "metric": "profit_change_gap", "scope": "all", "value": 2.0, "low": 1.5, "count_treated": 4},
        ),
    }  # fmt: skip
    report = gather.facts(frames, "shop", k=4)
    assert (report.total.received, report.total.accepted, report.total.rejected, report.total.duplicates) == (20, 13, 5, 2)
    assert [(entry.batch_id, entry.accepted, entry.rejected) for entry in report.batches] == [("a", 6, 3), ("b", 7, 2)]
    assert report.reasons == (("price", 3), ("user", 2))
    run = report.latest
    assert run is not None
    assert (run.run_id, run.expected_profit, run.expected_cost, run.conceded) == (RUN, 8.0, 2.0, 4.0)
    assert run.certificate is not None
    assert (run.certificate.bound, run.resources[0].shadow_price, run.resources[0].quantity) == (10.0, 1.8, "cost")
    assert run.measured_profit is not None
    assert run.measured_profit.method == "cuped"
    past = {effect.run_id: (effect.value, effect.low) for effect in report.past}
    assert past == {"campaign-1": (None, None), "campaign-2": (2.0, 1.5)}  # three users are fewer than k
    assert report.name_of("P1") == "Milk at half price"


def test_facts_of_nothing_are_empty(spark: SparkSession) -> None:
    report = gather.facts({}, "shop", k=4)
    assert (report.total.received, report.latest, report.runs) == (0, None, ())


BROKEN = {
    "sound": ({}, {}),
    "lies": ({"used": 1.5}, {"misstated_use": 1}),
    "overspent": ({"capacity": 1.5}, {"over_capacity": 1, "recomputed_over_capacity": 1}),
    "oversold": (
        {"resource": "inventory:P1", "capacity": 1.0, "used": 1.0, "quantity": "count", "by_promotion": {"P1": 1.0}},
        {"misstated_use": 1, "recomputed_over_capacity": 1},
    ),
    "floor missed": (
        {"resource": "floor:new", "capacity": 3.0, "used": 2.0, "is_floor": True},
        {"over_capacity": 1, "recomputed_over_capacity": 1},
    ),
    "not eligible": ({"promotion_id": "P9"}, {"not_eligible": 1, "misstated_use": 1}),
    "two for one": ({"user_id": "u1", "promotion_id": "P2"}, {"too_many": 1}),
    "one of three forgotten": ({"objective": 3.0, "capacity": 3.0, "used": 3.0}, {}),
    "one of three forgotten, and still above": (
        {"objective": 3.0, "capacity": 1.5, "used": 1.5},
        {"misstated_use": 1, "recomputed_over_capacity": 1},
    ),
    "one of three forgotten under a floor": (
        {"objective": 3.0, "resource": "floor:new", "capacity": 3.0, "used": 3.0, "is_floor": True},
        {},
    ),
}  # fmt: skip


def test_the_audit_finds_each_broken_limit_and_nothing_else(spark: SparkSession) -> None:
    pairs = [("u1", "P1"), ("u2", "P1"), ("u1", "P2")]
    scores = [{"user_id": user, "promotion_id": p, "as_of_on": DAY, "expected_cost": 1.0} for user, p in pairs]
    plan, limits = [], []
    for run, (change, _) in BROKEN.items():
        second: dict[str, Any] = {"user_id": "u2", "promotion_id": "P1"}
        budget: dict[str, Any] = {"resource": "budget", "capacity": 2.0, "used": 2.0, "quantity": "cost", "is_floor": False}
        budget["by_promotion"] = {"P1": 1.0, "P2": 1.0}
        whole = {"resource": "plan", "objective": change.get("objective", 2.0)}  # an offer is worth 1.0
        for row in (second, budget):
            row |= {name: value for name, value in change.items() if name in row}
        plan += [{"run_id": run, "as_of_on": DAY, "user_id": "u1", "promotion_id": "P1"}, {"run_id": run, "as_of_on": DAY, **second}]
        limits += [{"run_id": run, **budget}, {"run_id": run, **whole}]
    found = audit.violations(
        rows(spark, tables.ALLOCATIONS, *plan), rows(spark, tables.OFFER_SCORES, *scores), rows(spark, tables.ALLOCATION_RESOURCES, *limits)
    )
    counted = {row["run_id"]: row.asDict() for row in found.collect()}
    assert {run: {kind: n for kind, n in row.items() if kind != "run_id" and n} for run, row in counted.items()} == {
        run: broken for run, (_, broken) in BROKEN.items()
    }
