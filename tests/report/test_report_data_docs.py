from html.parser import HTMLParser

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from builders import rows
from promoloop import expectations, tables
from promoloop.report import data_docs

STATED = {name: expectations.load_suite(name) for name in data_docs.SUITES}
FIGURES = {"events_of_a_day": 100.0, "log_price": 2.0}


class Cells(HTMLParser):
    """Rows of the page's tables as lists of their cells' text."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_each_rule_stands_with_the_newest_batchs_verdict(spark: SparkSession) -> None:
    missing, free = "user_id: missing", "quantity: zero"
    first = {"batch_id": "b1", "rows_accepted": 1000, "rows_received": 10, "rows_rejected": 4, "reasons": {missing: 4}, "metrics": FIGURES}
    busier = {**FIGURES, "events_of_a_day": 150.0}
    second = {"batch_id": "b2", "rows_received": 20, "rows_rejected": 2, "reasons": {free: 2}, "metrics": busier}
    late = {"batch_id": "b2", "rows_received": 0, "rows_rejected": 0, "metrics": {**FIGURES, "events_of_a_day": 9.0}}  # not compared again
    requeued = {"batch_id": "b1", "rows_received": 0, "rows_rejected": -1, "reasons": {missing: -1}, "metrics": {}}
    batches = rows(spark, tables.BATCHES, {**first, "take": 0}, {**second, "take": 1}, {**late, "take": 2}, {**requeued, "take": -3})
    refused = {"table_name": "promotions", "reasons": ["<b>code</b>"], "batch_id": "b9"}
    entities = rows(spark, tables.ENTITIES_REJECTED, {**refused, "row_number": 0}, {**refused, "row_number": 1})
    found = {suite.table: suite for suite in data_docs.suites(STATED, {"batches": batches, "entities_rejected": entities})}
    events = {rule.reason: rule for rule in found["events"].rules}
    assert set(events) == {one["meta"]["reason"] for one in STATED["events"]["expectations"]}
    assert (found["events"].batch, found["events"].received, found["events"].rejected) == ("b2", 20, 2)
    assert [(events[name].newest, events[name].total) for name in (missing, free)] == [(0, 3), (2, 2)]
    volume = next(rule for rule in found["batches"].rules if rule.reason.startswith("volume"))
    assert (volume.measured, volume.is_within) == (pytest.approx(1.5), True)
    assert {rule.newest for rule in found["users"].rules} == {0}
    small = data_docs.suites(STATED, {"batches": batches.withColumn("rows_accepted", F.lit(999))})
    assert {rule.measured for suite in small if suite.table == "batches" for rule in suite.rules} == {None}

    page = data_docs.render(list(found.values()), "Shop", "../report.html")
    assert "<b>code" not in page  # whatever a reason says, it is text
    cells = Cells()
    cells.feed(page)
    told = [[cell.strip() for cell in row[:4]] for row in cells.rows]
    assert [row for row in told if row[0] in (missing, free, "<b>code</b>")] == [
        [missing, "kept", "0", "3"],
        [free, "broken", "2", "2"],
        [missing, "kept", "0", "0"],  # the rule of that name for users
        ["<b>code</b>", "broken", "2", "2"],
        [missing, "kept", "0", "0"],  # and for past offers
    ]
    assert 'src="' not in page
    assert "http" not in page


def test_before_the_first_batch_nothing_is_called_kept() -> None:
    shown = data_docs.suites(STATED, {})
    assert {(rule.newest, rule.measured) for suite in shown if suite.table in ("events", "batches") for rule in suite.rules} == {
        (None, None)
    }
    assert data_docs.render(shown, "Shop", "../report.html").count("Nothing has been judged yet") == 2
