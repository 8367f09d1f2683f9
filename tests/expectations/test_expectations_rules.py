"""Rules from the suites: the compiled copies are what Great Expectations says today, and every row gets all its reasons."""

import json
import runpy
from typing import Any

import pytest
from pyspark.sql import SparkSession

from promoloop import expectations, home, sources, tables
from promoloop.errors import UserError
from promoloop.events import drift
from promoloop.expectations import Rule, rules


def test_all_reasons_of_a_row_sorted(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, -5.0), (2, 5.0), (3, None)], "id int, price double")
    stated = [Rule("price: negative", "price < 0"), Rule("id: odd", "id % 2 = 1")]
    found = {row["id"]: row["reasons"] for row in rows.transform(expectations.add_reasons, stated).collect()}
    assert found == {1: ["id: odd", "price: negative"], 2: [], 3: ["id: odd"]}


def test_compiled_rules_are_fresh(spark: SparkSession) -> None:
    stated = runpy.run_path(str(home.root() / "scripts" / "compile_expectations.py"))["SCHEMAS"]
    for name, schema in stated.items():
        kept = json.loads((home.folder("expectations") / "compiled" / f"{name}.json").read_text())
        assert kept["fingerprint"] == expectations.fingerprint(name, schema()), f"run scripts/compile_expectations.py: {name}"


@pytest.mark.slow
def test_compiled_rules_are_what_great_expectations_says(spark: SparkSession) -> None:
    schema = sources.records_schema(tables.ITEMS.schema)
    assert expectations.extract_rules(spark, "items", schema) == expectations.load_rules(spark, "items", schema)


def test_a_rule_that_cannot_be_evaluated_is_told_apart_from_bad_data(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "nowhere"}, "meta": {"reason": "nowhere: missing"}}
    suite: dict[str, Any] = {"name": "items", "expectations": [rule]}
    monkeypatch.setattr(rules, "load_suite", lambda name: suite)
    with pytest.raises(UserError, match=r"expectations/items\.json: .*nowhere.* cannot be evaluated"):
        expectations.extract_rules(spark, "items", tables.ITEMS.schema)


def test_a_rule_about_a_number_that_is_not_told_is_named(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "volum", "max_value": 2.0},
        "meta": {"reason": "volume: far off"},
    }
    monkeypatch.setattr(rules, "load_suite", lambda name: {"name": name, "expectations": [rule]})
    with pytest.raises(UserError, match=r"expectations/batches\.json: .*volum.* cannot be evaluated"):
        expectations.broken_rules(spark, "batches", [dict.fromkeys(drift.COMPARED, 1.0)])


def test_the_gate_names_a_critical_rule_first() -> None:
    stated = [Rule("a: often", "true"), Rule("b: grave", "true", is_critical=True)]
    counts = {"a: often": 9, "b: grave": 1}
    assert expectations.is_too_many(1000, 10, counts, 0.05, stated)
    assert expectations.worst(counts, stated) == "b: grave"
    assert not expectations.is_too_many(1000, 9, {"a: often": 9}, 0.05, stated)
