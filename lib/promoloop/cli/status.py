"""The state of every table: rows, version, when and by which job it was last written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import SparkSession
from rich.table import Table as Grid

from promoloop import tables
from promoloop.cli import loop
from promoloop.cli.loop import Step
from promoloop.report import gather
from promoloop.settings import Settings
from promoloop.tables import Table

_NEWEST_VERSIONS = 5


@dataclass(frozen=True)
class State:
    """A table as it stands; `version` is None where it has not been written. `written_at` is in UTC."""

    table: Table
    rows: int | None = None
    version: int | None = None
    written_at: datetime | None = None


def state(spark: SparkSession, settings: Settings, table: Table) -> State:
    """The state of `table`; its rows come from Delta's file statistics, not from a scan."""
    if not tables.exists(spark, settings, table):
        return State(table)
    newest = spark.sql(f"DESCRIBE HISTORY {tables.address(settings, table)} LIMIT 1").first()
    rows = tables.read(spark, settings, table).count()
    if newest is None:
        return State(table, rows)
    return State(table, rows, newest["version"], newest["timestamp"].astimezone(UTC))  # Spark hands out moments in the zone of this process


def table_states(spark: SparkSession, settings: Settings) -> Grid:
    """Every table with its state."""
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("table", "rows", "version", "last written (UTC)", "by"):
        grid.add_column(heading, justify="right" if heading in ("rows", "version") else "left", no_wrap=True)
    for table in tables.TABLES:
        current = state(spark, settings, table)
        grid.add_row(table.name, *_cells(current), table.written_by)
    return grid


def lineage(spark: SparkSession, settings: Settings) -> Grid:
    """The newest five versions of every table with the job, run, code and table versions each came from."""
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("table", "version", "job", "run", "code", "rows", "inputs"):
        grid.add_column(heading, justify="right" if heading in ("version", "rows") else "left", no_wrap=heading != "inputs")
    for table in tables.TABLES:
        if tables.exists(spark, settings, table):
            for entry in tables.history(spark, settings, table).orderBy("version", ascending=False).limit(_NEWEST_VERSIONS).collect():
                rows = "" if entry["rows_written"] is None else f"{entry['rows_written']:,}"
                inputs = ", ".join(f"{name} v{version}" for name, version in sorted((entry["inputs"] or {}).items()))
                origin = (entry[name] or "" for name in ("job", "run_id", "code"))
                grid.add_row(table.name, str(entry["version"]), *origin, rows, inputs)
    return grid


def batches(spark: SparkSession, settings: Settings) -> Grid | None:
    """The newest batches with their counts; None before the first."""
    if not tables.exists(spark, settings, tables.BATCHES):
        return None
    newest = gather.newest_batches(tables.read(spark, settings, tables.BATCHES)).collect()
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("batch", "received", "accepted", "rejected", "duplicate"):
        grid.add_column(heading, justify="left" if heading == "batch" else "right", no_wrap=True)
    for batch in reversed(newest):
        counts = (batch[f"rows_{kind}"] for kind in ("received", "accepted", "rejected", "duplicate"))
        grid.add_row(batch["batch_id"], *(f"{count:,}" for count in counts))
    return grid


def plan_states(spark: SparkSession, settings: Settings, steps: Sequence[Step]) -> Grid:
    """Each step with its day, and what it reads and writes with the version each table is at now."""
    versions: dict[str, str] = {}
    for table in {table for step in steps for table in (*loop.reads(step.job), *loop.writes(step.job))}:
        version = state(spark, settings, table).version
        versions[table.name] = "new" if version is None else f"v{version}"
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("step", "as of", "reads", "writes"):
        grid.add_column(heading, no_wrap=heading in ("step", "as of"))
    for step in steps:
        named = [", ".join(f"{t.name} ({versions[t.name]})" for t in group) for group in (loop.reads(step.job), loop.writes(step.job))]
        grid.add_row(step.label, step.as_of.isoformat(), *(text or "–" for text in named))
    return grid


def _cells(current: State) -> tuple[str, str, str]:
    if current.version is None:
        return "–", "–", "not yet"
    written = current.written_at.strftime("%Y-%m-%d %H:%M:%S") if current.written_at else ""
    return f"{current.rows:,}", str(current.version), written
