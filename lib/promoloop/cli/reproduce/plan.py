"""A past plan made again from the table versions it was made of, into another root, and compared with what it left.

The note in each commit says which versions a job read. They are pinned there as shallow clones: the same files, no copy. Tables the run
wrote itself begin as they were before it. Models are trained again beside a copy of the registry, so nothing in use changes. What the
run cleaned is cleaned again, apart (`cleaning`); that needs a copy of the raw records that came.
"""

import re
import shutil
from datetime import date
from functools import partial

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from promoloop import registry, tables
from promoloop.cli import jobs, loop
from promoloop.cli.reproduce import cleaning
from promoloop.cli.reproduce.compared import Compared, Reproduced, compare, reading_past_versions, require_empty
from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.tables import Table

_TRAINED_FOR = {"train_profiles": "score_profiles", "train_recommender": "recommend_items"}
_BY_NAME = {table.name: table for table in tables.TABLES}


def again(spark: SparkSession, settings: Settings, run_id: str, into: str | None) -> Reproduced:
    """Make plan `run_id` again under `into` (default: `reproduced/RUN` in the output folder), and what was cleaned in its run.

    Raises UserError where no job wrote anything in that run, a version the plan was made of is gone, or `into` holds tables. A cleaning
    whose versions are gone is left out, and told.
    """
    own = _settings(settings, run_id, into)
    commits = {job: _commits(spark, settings, job, run_id) for job in loop.PLAN_JOBS}
    asked = [job for job in loop.PLAN_JOBS if commits[job] or commits.get(_TRAINED_FOR.get(job, ""))]
    cleanings = cleaning.of_run(spark, settings, own)
    if not asked and not cleanings:
        raise UserError(f"no table was written in run {run_id}; promoloop status --lineage shows the runs there are")
    made = {table for job in asked for table in loop.writes(job)}
    require_empty(spark, own, made)
    compared, left_out = [], []
    last = [rows[-1] for job in asked for rows in commits[job].values()]
    for one in cleanings:
        try:
            compared += cleaning.again(spark, settings, one)
            last += [rows[-1] for rows in one.commits.values()]
        except UserError as error:
            left_out.append(f"the cleaning up to version {one.ended} of {tables.RAW_EVENTS.name} is not made again: {error}")
    if asked:
        compared += _plan_again(spark, settings, own, {job: commits[job] for job in asked}, made)
    return Reproduced(compared, all(row["settings"] == tables.settings_mark(own) for row in last), left_out)


def _plan_again(
    spark: SparkSession, settings: Settings, own: Settings, commits: dict[str, dict[str, list[Row]]], made: set[Table]
) -> list[Compared]:
    for found in (rows for of_job in commits.values() for rows in of_job.values()):
        if found[0]["version"] > 0:  # its rows of other days and runs
            tables.clone_version(spark, settings, _BY_NAME[found[0]["table"]], found[0]["version"] - 1, own)
    registry.copy(settings, own)
    of_all = {name: version for of_job in commits.values() for name, version in _inputs(of_job).items()}
    pinned: dict[str, int] = {}
    for job, of_job in commits.items():
        for name, version in (_inputs(of_job) or of_all).items():
            if name in _BY_NAME and _BY_NAME[name] not in made and pinned.get(name) != version:
                tables.clone_version(spark, settings, _BY_NAME[name], version, own)
                pinned[name] = version
        with reading_past_versions(job):
            jobs.load(job)(spark, own)
    last = [found[-1] for of_job in commits.values() for found in of_job.values()]
    rows_of_run = partial(_rows_of_run, own)
    return [compare(spark, settings, own, _BY_NAME[row["table"]], row["version"], rows_of_run) for row in last]


def _settings(settings: Settings, run_id: str, into: str | None) -> Settings:
    day = re.fullmatch(r"plan-(\d{4}-\d\d-\d\d)", run_id)
    try:
        as_of = date.fromisoformat(day[1] if day else "")
    except ValueError:
        raise UserError(f"run {run_id!r}: a plan is called plan-YYYY-MM-DD") from None
    default = settings.paths.out_folder / "reproduced" / run_id
    if into is None:
        if not re.match(r"(file:|[^:]*$)", settings.paths.tables) or tables.is_catalog(settings.paths.tables):
            raise UserError("--into: name a root beside the tables, as they are not on this machine's disk")
        shutil.rmtree(default, ignore_errors=True)
    places = {"tables": into or default / "tables", "checkpoints": default / "checkpoints", "models": default / "models", "out": default}
    of_day = settings.model_copy(update={"run": settings.run.model_copy(update={"as_of": as_of})})
    return of_day.at(**{name: str(place) for name, place in places.items()})


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


def _rows_of_run(own: Settings, rows: DataFrame) -> DataFrame:
    kept = rows.drop(*tables.DURATIONS)
    if "run_id" in kept.columns:
        return kept.where(F.col("run_id") == own.run.run_id)
    return kept.where(F.col("as_of_on") == F.lit(own.run.as_of))
