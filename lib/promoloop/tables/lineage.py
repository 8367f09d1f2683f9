"""Where each version of a table came from: a note in the Delta commit itself, and the reading of it.

A process notes what it reads; a commit carries that note: job, run, code version, mark of the settings, versions of the tables read
since another job last wrote. The note is process-wide state on purpose: a job names its tables once, in its reads and writes, and
nothing else. Which job runs is known by root, not by thread: takes of a stream are written from other threads than that of its job.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from threading import Lock

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import home
from promoloop.settings import Settings
from promoloop.tables.table import Table

_NEWEST = 20
_lock = Lock()
_read: dict[str, dict[str, int]] = {}  # tables root -> table -> version, since the last write
_running: dict[str, list[str]] = {}  # tables root -> jobs that run there now
_used: dict[str, tuple[str, dict[str, int]]] = {}  # tables root -> job that wrote last, and all it had read


@contextmanager
def running(settings: Settings, job: str) -> Iterator[None]:
    """Until the end, what is written below the tables root of `settings`, from any thread, is noted as by `job`."""
    root = settings.paths.tables
    with _lock:
        if not _running.get(root):  # what was looked at in between, as in a notebook, is not what the job is made from
            _read.pop(root, None)
            _used.pop(root, None)
        _running.setdefault(root, []).append(job)
    try:
        yield
    finally:
        with _lock:
            _running[root].remove(job)


def note_read(settings: Settings, table: Table, table_version: int) -> None:
    """Remember that a version of a table was read."""
    with _lock:
        _read.setdefault(settings.paths.tables, {})[table.name] = table_version


def versions_read(settings: Settings) -> dict[str, int]:
    """Versions of the tables read since the last write: what a job's result depends on, beside its settings."""
    with _lock:
        return dict(_read.get(settings.paths.tables, {}))


def note_for_commit(settings: Settings, table: Table, take: str | None = None) -> str:
    """The note a commit to `table` carries, JSON: job, run_id, code, settings (their mark), inputs (table to version), take, if it is one.

    The job is the one that runs; where nobody said (see `running`), or several run at once, the one that the table is known to be of.
    """
    root = settings.paths.tables
    with _lock:
        jobs = set(_running.get(root, []))
        job = jobs.pop() if len(jobs) == 1 else table.written_by
        writer, before = _used.get(root, (job, {}))
        inputs = {**(before if writer == job else {}), **_read.pop(root, {})}
        _used[root] = (job, inputs)
    note = {"job": job, "run_id": settings.run.run_id, "code": _code(), "settings": settings_mark(settings), "inputs": inputs}
    return json.dumps(note | ({} if take is None else {"take": take}), sort_keys=True)


def settings_mark(settings: Settings) -> str:
    """12 hex characters that tell settings that may change a plan from others: places, keys and looks left out, and the day, too."""
    stated = settings.model_dump(mode="json", exclude={"paths": True, "privacy": True, "spark": True, "report": True, "run": {"as_of"}})
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:12]


def _code() -> str:
    try:
        return f"{version('promoloop')}+{home.code_mark()}"
    except PackageNotFoundError:  # shipped as a zip
        return f"+{home.code_mark()}"


def inputs_of(spark: SparkSession, address: str, take: str) -> dict[str, int]:
    """Versions of the tables, by name, that `take` was made from, where it is among the newest commits of the table; else none."""
    note = F.from_json("userMetadata", "take string, inputs map<string,bigint>")
    newest = spark.sql(f"DESCRIBE HISTORY {address} LIMIT {_NEWEST}").select(note.alias("note"))
    row = newest.where(F.col("note.take") == take).select("note.inputs").first()
    return {} if row is None else dict(row["inputs"])


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
