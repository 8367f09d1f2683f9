import io
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console

from promoloop.cli import source
from promoloop.settings import Settings

_USERS = """
title = "x"
[[sets]]
entity = "users"
files = "users/*"
format = "csv"
fields = ["user"]
personal = ["user"]
[sets.columns]
user_id = "user"
[[sets]]
entity = "items"
files = "items/*"
format = "csv"
fields = ["sku"]
[sets.columns]
item_id = "sku"
"""


def test_check_tells_of_each_set_and_passes_over_one_without_files(
    spark: SparkSession, settings_with: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(_USERS)
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "1.csv").write_text("user,shoe\nann,40\n")
    shown = io.StringIO()
    Console(file=shown, width=140).print(source.checked(spark, settings_with(f"source.name={tmp_path / 'mine.toml'}"), str(tmp_path)))
    lines = [line.strip() for line in shown.getvalue().splitlines()]
    assert "users: 1 records of users/*" in lines
    assert {"(masked)", "new: shoe", "items: no files yet of items/*"} <= set(lines)


def test_every_mapping_shipped_is_listed() -> None:
    shown = io.StringIO()
    Console(file=shown, width=140).print(source.known())
    assert {"completejourney", "multicategory", "online_retail", "retailrocket", "shop"} == {
        line.split()[0] for line in shown.getvalue().splitlines()
    }
