"""design_campaigns by `promoloop design`: the front and the chosen design's full solution, the files, the same again."""

import gzip
import json
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console

import randomised_shop
from places import copied
from promoloop import home, tables
from promoloop.cli import design
from promoloop.errors import UserError
from promoloop.settings import Settings

_SMALL = ("depths=[0.1,0.3]", "thresholds=[0.0,1.0]", "days=[7]", "budget_levels=[0.5,1.0]", "population=6", "generations=3")


@pytest.mark.slow
def test_designs_are_bred_chosen_and_solved_in_full(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with(*(f"design.{one}" for one in _SMALL), "allocation.budget=40")
    randomised_shop.store(randomised_shop.build(spark, users=120), settings)
    console = Console(width=160, record=True, file=StringIO())
    console.print(design.designed(console, spark, settings))
    said = console.export_text()
    assert "generation 3 of 3" in said
    assert "solved in full" in said
    rows = tables.read(spark, settings, tables.CAMPAIGN_DESIGNS)
    assert {row[0] for row in rows.where("is_chosen").select("design").distinct().collect()} <= set(range(1, 99))
    assert rows.where("design = 0").count() == 2
    designs = rows.where("design > 0").select("design", "design_profit", "design_satisfaction").distinct().orderBy("design").collect()
    aims = [(profit, satisfaction) for _, profit, satisfaction in designs]
    assert aims == sorted(aims, key=lambda one: (-one[0], one[1]))
    assert rows.where("expected_cost > 40 * 0.95 + 1e-6").isEmpty()
    proof = {row["resource"]: row for row in tables.read(spark, settings, tables.DESIGN_RESOURCES).collect()}
    assert proof["budget"]["used"] <= proof["budget"]["capacity"] == pytest.approx(40 * 0.95)
    assert 0 <= proof["plan"]["gap"] < 0.1
    solved = json.loads((settings.paths.out_folder / "design.json").read_text())["solved"]
    assert solved["profit_solved"] == pytest.approx(proof["plan"]["objective"])
    page = (settings.paths.out_folder / "design.html").read_text()
    assert "<svg" in page
    assert "no plan can be better by more than" in page

    lines = gzip.decompress((settings.paths.out_folder / "design" / "promotions.json.gz").read_bytes()).decode().splitlines()
    proposed = [json.loads(line) for line in lines]
    mapping = tomllib.loads((home.folder("conf") / "sources" / "shop.toml").read_text())
    fields = next(one["fields"] for one in mapping["sets"] if one["entity"] == "promotions")
    assert {field for record in proposed for field in record} <= set(fields)
    assert {record["promotion"] for record in proposed} == {"tea-20", "mug-gift"}

    before = tables.content_hash(rows)
    design.designed(console, spark, settings)
    again = tables.read(spark, settings, tables.CAMPAIGN_DESIGNS)
    assert tables.content_hash(again) == before
    assert again.where(F.col("run_id") != settings.run.run_id).isEmpty()


def test_what_is_not_run_is_proposed_to_end() -> None:
    day = datetime(2026, 3, 2, tzinfo=UTC)
    known = {row["promotion_id"]: dict.fromkeys(tables.PROMOTIONS.column_names) | row for row in randomised_shop.promotions()}
    chosen = [{"promotion_id": "tea-20", "is_run": False}, {"promotion_id": "mug-gift", "is_run": True, "starts_at": day, "ends_at": day}]
    gift, tea = design.proposals(chosen, known, day.date())
    assert (gift["promotion"], gift["gift_unit_cost"], gift["starts"]) == ("mug-gift", "2.00", "2026-03-02T00:00:00Z")
    assert (tea["starts"], tea["ends"]) == ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")


def test_nothing_open_is_nothing_to_design(spark: SparkSession, scored: Settings, settings_with: Callable[..., Settings]) -> None:
    settings = copied(scored, settings_with("run.as_of=2026-05-01", "allocation.budget=40"))
    with pytest.raises(UserError, match="nothing to design"):
        design.designed(Console(file=StringIO()), spark, settings)
