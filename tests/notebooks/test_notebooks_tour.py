import runpy
from pathlib import Path

import matplotlib as mpl
import pytest
from pyspark.sql import SparkSession

import scanning
from places import AS_PEOPLE_RUN_IT
from promoloop import home, session, tables
from promoloop.cli import app
from promoloop.settings import Settings
from promoloop.simulator.entities import FIRST_NAMES, LAST_NAMES
from promoloop.simulator.landing import manifests

PLANTED = (  # by the embedded shop, in its users: raw id, mail, phone, name, address
    r"\bU\d{9}\b",
    r"@example\.org",
    r"\+99 555 \d",
    rf"\b({'|'.join(FIRST_NAMES)})[ .]({'|'.join(LAST_NAMES)})\b",
    rf"\b({'|'.join(LAST_NAMES)}) Street",
)
NOTEBOOK = home.root() / "notebooks" / "01_tour.py"


def test_the_notebook_is_in_databricks_source_format_and_holds_no_logic() -> None:
    text = NOTEBOOK.read_text()
    assert text.startswith("# Databricks notebook source\n")
    cells = text.split("\n# COMMAND ----------\n")
    assert len(cells) > 10
    for cell in cells[1:]:
        lines = [line for line in cell.strip().splitlines() if line]
        is_words = [line.startswith("# MAGIC") for line in lines]
        assert all(is_words) or not any(is_words), cell
    assert "pyspark" not in text.replace("spark = opened", "")
    assert "sys.path" not in text


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a whole cycle of the loop
def test_the_notebook_runs_from_top_to_bottom_and_nothing_it_leaves_names_anybody(
    spark: SparkSession, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mpl.use("Agg")
    overrides = [f"paths.{name}={value}" for name, value in settings.paths.model_dump().items()]
    with session.options(spark, AS_PEOPLE_RUN_IT):
        runpy.run_path(str(NOTEBOOK), init_globals={"overrides": [*overrides, "shop.users=300", "shop.items=80"]})
    said = capsys.readouterr().out
    assert "evaluate_promotions: Outcome(" in said
    assert tables.read(spark, settings, tables.EVALUATIONS).where(f"run_id = '{settings.run.run_id}'").count() > 0
    verdicts = ("rows_accepted", "rows_rejected", "rows_duplicate")
    taken = tables.read(spark, settings, tables.BATCHES).groupBy("batch_id").sum(*verdicts).collect()
    told = manifests(spark, settings.paths.landing)
    written = {one.batch: (one.events_accepted, one.events_rejected, one.events_duplicate) for one in told}
    assert {batch: tuple(counts) for batch, *counts in taken} == written  # what the shop knows of its own dirt
    assert len(written) == 2
    naming = {log.parent.parent.name for log in Path(settings.paths.tables).glob("*/_delta_log/*.json") if "truth_" in log.read_text()}
    assert naming == {"truth_users", "truth_offers", "evaluations"}, "no other job read what only a simulator can know"
    assert spark.range(3).count() == 3  # the notebook left the session it was given alone

    with app.opened(settings) as (console, opened):  # as promoloop report does: report, summary and log beside the tables
        app.conclude(console, opened, settings)
    left = sorted(path for path in tmp_path.iterdir() if path.name != "landing")
    assert {"tables", "vault", "checkpoints", "models", "channels", "logs", "report.html"} <= {path.name for path in left}
    for planted in PLANTED:
        assert scanning.found([tmp_path / "landing"], planted), planted  # it is what the scan would see
        assert scanning.found(left, planted) == {}
