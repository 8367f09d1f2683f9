import runpy
from pathlib import Path

import matplotlib as mpl
import pytest
from pyspark.sql import SparkSession

from promoloop import home, tables
from promoloop.settings import Settings

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
def test_the_notebook_runs_from_top_to_bottom(
    spark: SparkSession, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mpl.use("Agg")
    overrides = [f"paths.{name}={value}" for name, value in settings.paths.model_dump().items()]
    runpy.run_path(str(NOTEBOOK), init_globals={"overrides": [*overrides, "shop.users=300", "shop.items=80"]})
    said = capsys.readouterr().out
    assert "evaluate_promotions: Outcome(" in said
    assert tables.read(spark, settings, tables.EVALUATIONS).where(f"run_id = '{settings.run.run_id}'").count() > 0
    assert spark.range(3).count() == 3  # the notebook left the session it was given alone
