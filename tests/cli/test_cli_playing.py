import json
from collections.abc import Callable
from io import StringIO

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from builders import rows
from promoloop import tables
from promoloop.cli import playing
from promoloop.errors import UserError
from promoloop.settings import Settings

RUN = "plan-2026-03-02"


def fill(spark: SparkSession, settings: Settings) -> None:
    """200 users get P (redeemed by half for 2, worth 3); its budget is what is expected, its stock ample. The truth: nobody redeems."""
    day = settings.run.as_of
    pairs = [{"user_id": f"u{n}", "promotion_id": "P", "as_of_on": day} for n in range(200)]
    scores = [pair | {"p_redeem": 0.5, "expected_cost": 1.0, "expected_profit": 3.0, "profit_deviation": 0.5} for pair in pairs]
    truth = [pair | {"p_redeem": 0.0, "expected_cost": 0.0, "expected_profit": 0.0} for pair in pairs[:150]]
    limits = [{"resource": "budget:P", "capacity": 200.0}, {"resource": "inventory:P", "capacity": 500.0}, {"resource": "plan"}]
    tables.replace_run(rows(spark, tables.ALLOCATIONS, *({"run_id": RUN, **pair} for pair in pairs)), settings, tables.ALLOCATIONS, RUN)
    resources = rows(spark, tables.ALLOCATION_RESOURCES, *({"run_id": RUN, **limit} for limit in limits))
    tables.replace_run(resources, settings, tables.ALLOCATION_RESOURCES, RUN)
    tables.replace_day(rows(spark, tables.OFFER_SCORES, *scores), settings, tables.OFFER_SCORES, day)
    tables.replace_day(rows(spark, tables.TRUTH_OFFERS, *truth), settings, tables.TRUTH_OFFERS, day)


def test_a_plan_is_played_by_the_model_and_by_the_truth(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("execution.control_share=0.0", "simulation.replications=100")
    fill(spark, settings)
    console = Console(width=200, record=True, file=StringIO())
    console.print(playing.simulated(spark, settings))
    said = console.export_text()
    assert "by the response model" in said
    assert "50 planned offers are unknown to the truth and left out" in said
    told = json.loads((settings.paths.out_folder / "simulation.json").read_text())
    model, true = told["response model"]["P"], told["truth"]["P"]
    assert model["offers"] == 200
    assert model["spend"]["low"] < 200 < model["spend"]["high"]
    assert 0.2 < model["chance_over_budget"] < 0.8
    assert model["chance_over_inventory"] == 0.0
    assert told["response model"]["all"]["profit"] == model["profit"]
    assert (true["offers"], true["spend"]["high"], true["chance_over_budget"]) == (150, 0.0, 0.0)
    before = (settings.paths.out_folder / "simulation.json").read_text()
    playing.simulated(spark, settings)
    assert (settings.paths.out_folder / "simulation.json").read_text() == before


def test_controls_are_withheld_and_a_missing_plan_is_named(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("execution.control_share=0.5", "simulation.replications=20")
    fill(spark, settings)
    playing.simulated(spark, settings)
    told = json.loads((settings.paths.out_folder / "simulation.json").read_text())
    assert 60 < told["response model"]["P"]["offers"] < 140
    with pytest.raises(UserError, match="plan-2026-05-01"):
        playing.simulated(spark, settings_with("run.as_of=2026-05-01"))
