"""The newest commit of a Delta table: asked for before and after every write and at every read, so it has to cost nothing.

On a file system of this machine it is the commit file with the highest number (Delta transaction log protocol, "Delta log entries" and
"Commit provenance information"): no job, and no listing of the table's files. Elsewhere Spark says it, by a job of its own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Commit:
    """A version of a table, how many rows were inserted or updated to make it, and whether it is the table's creation, without rows."""

    version: int
    rows_written: int
    is_creation: bool


def newest(spark: SparkSession, name: str, path: Path | None) -> Commit | None:
    """The newest commit of the table that Spark SQL calls `name`; `path` where it lies on this machine. None: there is no such table."""
    if path is not None:
        return _on_disk(path)
    try:
        row = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").first()
    except AnalysisException:
        return None
    return None if row is None else _commit(int(row["version"]), row["operation"], row["operationMetrics"] or {})


def _on_disk(path: Path) -> Commit | None:
    numbers = [entry.stem for entry in (path / "_delta_log").glob("*.json") if entry.stem.isdigit()]
    if not numbers:
        return None
    last = max(numbers)
    with (path / "_delta_log" / f"{last}.json").open(encoding="utf-8") as lines:
        info: Mapping[str, Any] = next((json.loads(line)["commitInfo"] for line in lines if line.startswith('{"commitInfo"')), {})
    return _commit(int(last), info.get("operation"), info.get("operationMetrics", {}))


def _commit(version: int, operation: str | None, metrics: Mapping[str, Any]) -> Commit:
    merged = "numTargetRowsInserted" in metrics
    counted = ("numTargetRowsInserted", "numTargetRowsUpdated") if merged else ("numOutputRows",)
    return Commit(version, sum(int(metrics.get(name, 0)) for name in counted), operation == "CREATE TABLE")
