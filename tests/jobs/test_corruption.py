"""The short form of bench/corruption.py: its kinds of corruption, each caught before profiles for the right reason."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from job_files import job
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import expectations, home, tables
from promoloop.events import drift
from promoloop.settings import Settings


def test_each_kind_of_corruption_is_caught_for_its_reason(
    spark: SparkSession, settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nineteen days, each spoilt in another way, taken at once by a gate that lets all pass, so that every record shows its reasons.

    That too many of them stop a run, and a file cut short, the twentieth, are in test_ingest_clean.py; one run for each kind, stopped
    as it must be, is the bench's.
    """
    with monkeypatch.context() as patched:
        patched.syspath_prepend(home.root() / "bench")
        drill = importlib.import_module("corruption")
    assert len(drill.KINDS) == 20
    settings = settings_with("events.max_rejected_share=1", "privacy.has_vault=false", "run.as_of=2026-01-21")
    landing = Path(settings.paths.landing)
    drill.put_known(landing)
    spoilt = {}
    for number, (name, kind) in enumerate((name, kind) for name, kind in drill.KINDS.items() if name != "truncated gz"):
        day = drill.batch_of(number)
        spoilt[day] = (name, kind, set(kind.spoil(landing, day, drill.day_of_events(number))))
    job("ingest_events").run(spark, settings)
    job("clean_events").run(spark, settings)

    broken = tables.read(spark, settings, tables.EVENTS_REJECTED).select("batch_id", F.explode("reasons").alias("reason"), "row_number")
    by_reason = broken.groupBy("batch_id", "reason").agg(F.collect_set("row_number"))
    places = {(row[0], row[1]): set(row[2]) for row in by_reason.collect()}
    judged = {day: found for day, found in spoilt.items() if found[1].reason is not None}
    missed = {name: len(bad - places.get((day, kind.reason), set())) for day, (name, kind, bad) in judged.items()}
    assert {name: count for name, count in missed.items() if count} == {}
    assert len(judged) == 13
    assert all(len(bad) >= 30 for _, _, bad in judged.values())

    by_day = tables.read(spark, settings, tables.EVENTS).groupBy("batch_id").agg(F.count("*"), F.count_distinct("event_id"))
    counts = {row[0]: (row[1], row[2]) for row in by_day.collect()}
    harmless = [day for day, (_, kind, _) in spoilt.items() if kind.reason is None and kind.stops is None]
    assert [spoilt[day][0] for day in harmless] == ["duplicate files", "reordered files", "empty file"]
    assert [counts[day] for day in harmless] == [(drill.ROWS, drill.ROWS)] * 3

    metrics = {row["batch_id"]: row["metrics"] for row in tables.read(spark, settings, tables.BATCHES).collect()}
    unlike = {day: kind.stops for day, (_, kind, _) in spoilt.items() if kind.stops is not None}
    compared = [drift.compare(metrics[day], [metrics[other] for other in harmless]) for day in [*unlike, *harmless]]
    told = expectations.broken_rules(spark, "batches", compared)
    assert [any(line in reason for reason in reasons) for line, reasons in zip(unlike.values(), told[:3], strict=True)] == [True] * 3
    assert told[3:] == [[]] * 3
