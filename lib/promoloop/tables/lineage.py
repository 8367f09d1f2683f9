"""Where each version of a table came from: a note in the Delta commit itself, and the reading of it.

A process notes what it reads; a commit carries that note: job, run, code version, mark of the settings, versions of the tables read
since another job last wrote. The note is process-wide state on purpose: a job names its tables once, in its reads and writes, and
nothing else.
"""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from threading import Lock

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.settings import Settings
from promoloop.tables.table import Table

_lock = Lock()
_read: dict[str, dict[str, int]] = {}  # tables root -> table -> version, since the last write
_used: dict[str, tuple[str, dict[str, int]]] = {}  # tables root -> job that wrote last, and all it had read


def note_read(settings: Settings, table: Table, table_version: int) -> None:
    """Remember that a version of a table was read."""
    with _lock:
        _read.setdefault(settings.paths.tables, {})[table.name] = table_version


def versions_read(settings: Settings) -> dict[str, int]:
    """Versions of the tables read since the last write: what a job's result depends on, beside its settings."""
    with _lock:
        return dict(_read.get(settings.paths.tables, {}))


def note_for_commit(settings: Settings, table: Table) -> str:
    """The note a commit to `table` carries, JSON: job, run_id, code, settings (their mark), inputs (table to version)."""
    root, job = settings.paths.tables, table.written_by
    with _lock:
        writer, before = _used.get(root, (job, {}))
        inputs = {**(before if writer == job else {}), **_read.pop(root, {})}
        _used[root] = (job, inputs)
    note = {"job": job, "run_id": settings.run.run_id, "code": _code(), "settings": settings_mark(settings), "inputs": inputs}
    return json.dumps(note, sort_keys=True)


def nothing_written(settings: Settings) -> None:
    """A job that read and wrote nothing: what it read is not of the next one."""
    with _lock:
        _read.pop(settings.paths.tables, None)


def settings_mark(settings: Settings) -> str:
    """12 hex characters that tell settings that may change a plan from others: places, keys and looks left out, and the day, too."""
    stated = settings.model_dump(mode="json", exclude={"paths": True, "privacy": True, "spark": True, "report": True, "run": {"as_of"}})
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:12]


def _code() -> str:
    try:
        return version("promoloop")
    except PackageNotFoundError:  # shipped as a zip
        return "unknown"


def history(spark: SparkSession, address: str) -> DataFrame:
    """Versions of one table: version, committed_at, operation, job, run_id, code, settings, inputs (map), rows_written; key version."""
    note = F.from_json("userMetadata", "job string, run_id string, code string, settings string, inputs map<string,bigint>")
    metrics = F.col("operationMetrics")
    return spark.sql(f"DESCRIBE HISTORY {address}").select(
        "version",
        F.col("timestamp").alias("committed_at"),
        "operation",
        note["job"].alias("job"),
        note["run_id"].alias("run_id"),
        note["code"].alias("code"),
        note["settings"].alias("settings"),
        note["inputs"].alias("inputs"),
        F.coalesce(metrics["numTargetRowsInserted"], metrics["numOutputRows"]).try_cast("bigint").alias("rows_written"),
    )
