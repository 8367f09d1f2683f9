"""A past plan made again from the table versions it was made of, into another root, and compared with what it left.

The note in each commit says which versions a job read. They are pinned there as shallow clones: the same files, no copy. Tables the run
wrote itself begin as they were before it. What it cleaned is cleaned again, apart (`reproduce_cleaning`). Models are trained again beside
a copy of the registry, so nothing in use changes.
"""

import re
import shutil
from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from rich.table import Table as Grid

from promoloop import registry, tables
from promoloop.cli import jobs, loop, reproduce_cleaning
from promoloop.cli.compared import BY_NAME, Compared, place_is_empty
from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.tables import Table

_TRAINED_FOR = {"train_profiles": "score_profiles", "train_recommender": "recommend_items"}
_TIMED = ("seconds_per_pass",)  # a duration is never the same twice


def again(spark: SparkSession, settings: Settings, run_id: str, into: str | None) -> tuple[list[Compared], bool]:
    """Make plan `run_id` again under `into` (default: `reproduced/RUN` in the output folder), and whether by the settings it was made by.

    Raises UserError where no job wrote anything in that run, a pinned version is gone, or `into` holds tables.
    """
    own = _settings(settings, run_id, into)
    commits = {job: _commits(spark, settings, job, run_id) for job in loop.PLAN_JOBS}
    asked = [job for job in loop.PLAN_JOBS if commits[job] or commits.get(_TRAINED_FOR.get(job, ""))]
    cleaned, takes = reproduce_cleaning.again(spark, settings, own)
    if not asked and not takes:
        raise UserError(f"no table was written in run {run_id}; promoloop status --lineage shows the runs there are")
    made = {table.name for job in asked for table in loop.writes(job)}
    place_is_empty(spark, own, made)
    for found in (rows for job in asked for rows in commits[job].values()):
        if found[0]["version"] > 0:  # its rows of other days and runs
            tables.clone_version(spark, settings, BY_NAME[found[0]["table"]], found[0]["version"] - 1, own)
    registry.copy(settings, own)
    of_all = {name: version for job in asked for name, version in _inputs(commits[job]).items()}
    pinned: dict[str, int] = {}
    for job in asked:
        for name, version in (_inputs(commits[job]) or of_all).items():
            if name in BY_NAME and name not in made and pinned.get(name) != version:
                tables.clone_version(spark, settings, BY_NAME[name], version, own)
                pinned[name] = version
        try:
            jobs.load(job)(spark, own)
        except Exception as error:
            if "FAILED_READ_FILE" in str(error):
                raise UserError(f"{job}: files of a version the run read are gone, by forget, rekey or a vacuum") from error
            raise
    last = [found[-1] for job in asked for found in commits[job].values()]
    compared = [_compare(spark, settings, own, BY_NAME[row["table"]], row["version"]) for row in last]
    return cleaned + compared, all(row["settings"] == tables.settings_mark(own) for row in (*takes, *last))


def shown(compared: Sequence[Compared]) -> Grid:
    """Every table with both hashes."""
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("table", "version", "recorded", "reproduced", ""):
        grid.add_column(heading, justify="right" if heading in ("version", "recorded", "reproduced") else "left", no_wrap=True)
    for one in compared:
        hashes = (f"{value & (2**64 - 1):016x}" for value in (one.recorded, one.reproduced))
        grid.add_row(one.table, str(one.version), *hashes, "identical" if one.recorded == one.reproduced else "differs")
    return grid


def _settings(settings: Settings, run_id: str, into: str | None) -> Settings:
    day = re.fullmatch(r"plan-(\d{4}-\d\d-\d\d)", run_id)
    try:
        as_of = date.fromisoformat(day[1] if day else "")
    except ValueError:
        raise UserError(f"run {run_id!r}: a plan is called plan-YYYY-MM-DD") from None
    default = settings.paths.out_folder / "reproduced" / run_id
    if into is None:
        if not re.match(r"(file:|[^:]*$)", settings.paths.tables) or re.fullmatch(r"\w+\.\w+", settings.paths.tables):
            raise UserError("--into: name a root beside the tables, as they are not on this machine's disk")
        shutil.rmtree(default, ignore_errors=True)
    places = {"tables": into or default / "tables", "checkpoints": default / "checkpoints", "models": default / "models", "out": default}
    paths = settings.paths.model_copy(update={name: str(place) for name, place in places.items()})
    return settings.model_copy(update={"run": settings.run.model_copy(update={"as_of": as_of}), "paths": paths})


def _commits(spark: SparkSession, settings: Settings, job: str, run_id: str) -> dict[str, list[Row]]:
    """By table, the commits the job made in the run, oldest first; tables it made none in are left out."""
    found: dict[str, list[Row]] = {}
    for table in loop.writes(job):
        if tables.exists(spark, settings, table):
            own = tables.history(spark, settings, table).where((F.col("run_id") == run_id) & (F.col("job") == job))
            rows = own.select(F.lit(table.name).alias("table"), "version", "inputs", "settings").orderBy("version").collect()
            found |= {table.name: rows} if rows else {}
    return found


def _inputs(commits: dict[str, list[Row]]) -> dict[str, int]:
    return {name: version for rows in commits.values() for name, version in (rows[-1]["inputs"] or {}).items()}


def _compare(spark: SparkSession, settings: Settings, own: Settings, table: Table, version: int) -> Compared:
    def rows_of(frame: DataFrame) -> DataFrame:
        frame = frame.drop(*_TIMED)
        if "run_id" in frame.columns:
            return frame.where(F.col("run_id") == own.run.run_id)
        return frame.where(F.col("as_of_on") == F.lit(own.run.as_of))

    recorded, reproduced = tables.read_version(spark, settings, table, version), tables.read(spark, own, table)
    return Compared(table.name, version, *(tables.content_hash(rows_of(frame)) for frame in (recorded, reproduced)))
