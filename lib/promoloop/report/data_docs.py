"""Data docs: every rule of the suites, table by table, with how the newest batch kept it. One self-contained HTML page.

Row rules are judged by our own one pass over the rows (with Great Expectations' predicates), so there is no validation result of Great
Expectations for its renderer to show; and its pages load their looks from the net.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from promoloop.events import drift
from promoloop.report import words

SUITES = ("events", "batches", "users", "items", "promotions", "past_offers")


@dataclass(frozen=True)
class Kept:
    """One rule, and how it was kept: rows that broke it in the newest batch and in all, or the number that was judged."""

    reason: str
    expectation: str
    is_critical: bool
    newest: int | None = None
    total: int | None = None
    measured: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def is_within(self) -> bool:
        """Whether the number judged lies between the rule's bounds."""
        low, high = (default if bound is None else bound for bound, default in ((self.low, -math.inf), (self.high, math.inf)))
        return self.measured is not None and low <= self.measured <= high


@dataclass(frozen=True)
class Suite:
    """The rules of one table."""

    table: str
    rules: tuple[Kept, ...]
    batch: str | None = None
    received: int | None = None
    rejected: int | None = None


def suites(stated: Mapping[str, Mapping[str, Any]], frames: Mapping[str, DataFrame]) -> tuple[Suite, ...]:
    """The rules of suites `stated` (by table) with what tables batches and entities_rejected, where they are there, say of them."""
    counted = frames["batches"].orderBy(F.desc("take"), F.desc("batch_id")).limit(drift.BEFORE).collect() if "batches" in frames else []
    takes = [row for row in counted if row["metrics"]]
    newest = takes[0]["batch_id"] if takes else None
    totals = _reasons_of_all(frames["batches"]) if "batches" in frames else {}
    entities = _entities(frames["entities_rejected"]) if "entities_rejected" in frames else {}
    return tuple(
        _measured(stated[name], *(_compared(frames["batches"]) if "batches" in frames else (None, [])))
        if name == "batches"
        else _events(stated[name], counted, newest, totals)
        if name == "events"
        else _entity(name, stated[name], entities.get(name, []))
        for name in SUITES
    )


def render(shown: Sequence[Suite], title: str, report: str) -> str:
    """The page; `report` is the address of the report relative to it."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"count": words.count, "plain": words.plain}
    template = environment.from_string((files("promoloop.report") / "data_docs.html.j2").read_text(encoding="utf-8"))
    return template.render(suites=shown, title=title, report=report)


def _events(suite: Mapping[str, Any], counted: Sequence[Row], newest: str | None, totals: Mapping[str, int]) -> Suite:
    if newest is None:
        return Suite("events", tuple(_rule(one) for one in suite["expectations"]))
    own = [row for row in counted if row["batch_id"] == newest]
    received, rejected = (sum(row[f"rows_{kind}"] for row in own) for kind in ("received", "rejected"))
    broken = {reason: sum((row["reasons"] or {}).get(reason, 0) for row in own) for _, reason in _paired(suite)}
    rules = tuple(_rule(one, newest=broken[reason], total=totals.get(reason, 0)) for one, reason in _paired(suite))
    return Suite("events", rules, newest, received, rejected)


def _compared(batches: DataFrame) -> tuple[Row | None, list[Row]]:
    """The first take of the newest batch, and the batches before it that the gate compared it with: the last by name."""
    takes = batches.where(F.size("metrics") > 0)  # requeueing has none
    firsts = takes.withColumn("_first", F.min("take").over(Window.partitionBy("batch_id"))).where("take = _first")
    newest = firsts.orderBy(F.desc("take"), F.desc("batch_id")).first()
    if newest is None:
        return None, []
    return newest, drift.usual(takes.where(F.col("take") < newest["take"])).collect()


def _measured(suite: Mapping[str, Any], newest: Row | None, before: Sequence[Row]) -> Suite:
    """The batch as a whole: what the gate compared, computed again from the metrics kept in table batches; not of a small one."""
    if newest is None:
        return Suite("batches", tuple(_rule(one) for one in suite["expectations"]))
    is_judged = max(row["rows_accepted"] for row in (newest, *before)) >= drift.WHOLE_BATCH
    facts = drift.compare(newest["metrics"], [row["metrics"] for row in before]) if is_judged else {}
    rules = tuple(_rule(one, measured=facts.get(one["kwargs"]["column"])) for one in suite["expectations"])
    return Suite("batches", rules, newest["batch_id"])


def _entity(name: str, suite: Mapping[str, Any], counted: Sequence[Row]) -> Suite:
    """An entity's newest batch is the newest with a rejected record: those without leave no trace."""
    batch = max((row["batch_id"] for row in counted), default=None)
    in_all: dict[str, int] = {}
    in_batch: dict[str, int] = {}
    for row in counted:
        in_all[row["reason"]] = in_all.get(row["reason"], 0) + row["rows"]
        if row["batch_id"] == batch:
            in_batch[row["reason"]] = row["rows"]
    known = [one["meta"]["reason"] for one in suite["expectations"]]
    stated = [_rule(one, newest=in_batch.get(reason, 0), total=in_all.get(reason, 0)) for one, reason in _paired(suite)]
    of_code = [Kept(reason, "offers/forms.py", False, in_batch.get(reason, 0), total) for reason, total in sorted(in_all.items())]
    return Suite(name, (*stated, *(rule for rule in of_code if rule.reason not in known)), batch)


def _paired(suite: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    return [(one, one["meta"]["reason"]) for one in suite["expectations"]]


def _rule(expectation: Mapping[str, Any], **found: Any) -> Kept:
    given = ", ".join(f"{name}={value!r}" for name, value in expectation["kwargs"].items() if value is not None)
    is_critical = expectation.get("severity") == "critical"
    bounds = {"low": expectation["kwargs"].get("min_value"), "high": expectation["kwargs"].get("max_value")}
    return Kept(expectation["meta"]["reason"], f"{expectation['type']}({given})", is_critical, **bounds, **found)


def _reasons_of_all(batches: DataFrame) -> dict[str, int]:
    each = batches.select(F.explode("reasons").alias("reason", "rows"))
    return {row["reason"]: int(row["rows"]) for row in each.groupBy("reason").agg(F.sum("rows").alias("rows")).collect()}


def _entities(rejected: DataFrame) -> dict[str, list[Row]]:
    """Rejected records by table: batch_id, reason, rows."""
    each = rejected.select("table_name", "batch_id", F.explode("reasons").alias("reason"))
    found: dict[str, list[Row]] = {}
    for row in each.groupBy("table_name", "batch_id", "reason").agg(F.count("*").alias("rows")).collect():
        found.setdefault(row["table_name"], []).append(row)
    return found
