"""The cleaning of a past run done again: what came into raw_events between two of its versions, judged beside the tables."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from promoloop import tables
from promoloop.cli import jobs, loop
from promoloop.cli.compared import Compared, place_is_empty
from promoloop.settings import Settings
from promoloop.tables import Table

_JOB = "clean_events"
_NUMBERED = ("take",)  # counts the takes of a checkpoint: here there is one alone


@dataclass(frozen=True)
class Cleaning:
    """A run of clean_events: versions of raw_events it began after (None: with the first) and read to, and its commits by table."""

    begun: int | None
    ended: int
    commits: dict[str, list[Row]]


def again(spark: SparkSession, settings: Settings, own: Settings) -> tuple[list[Compared], list[Row]]:
    """Do each cleaning of the run of `own` again, in places of its own below those of `own`; and the commits it made.

    Raises UserError where a pinned version is gone, or a place holds tables.
    """
    compared, commits = [], []
    for number, cleaning in enumerate(_cleanings(spark, settings, own.run.run_id)):
        place = _place(own, number)
        place_is_empty(spark, place, cleaning.commits)
        shutil.rmtree(Path(place.paths.checkpoints), ignore_errors=True)
        received = tables.read_version(spark, settings, tables.RAW_EVENTS, cleaning.ended)
        if cleaning.begun is not None:
            known = tables.read_version(spark, settings, tables.RAW_EVENTS, cleaning.begun).select(*tables.RAW_EVENTS.key)
            received = received.join(known, list(tables.RAW_EVENTS.key), "left_anti")
        tables.append_once(received, place, tables.RAW_EVENTS, "reproduce", 0)
        for table in (tables.USERS, tables.ITEMS):
            tables.clone_version(spark, settings, table, cleaning.commits[tables.EVENTS.name][0]["inputs"][table.name], place)
        written = {table: cleaning.commits[table.name] for table in loop.writes(_JOB) if table.name in cleaning.commits}
        for table, made in written.items():
            if made[0]["version"] > 1:  # version 0 has no rows
                tables.clone_version(spark, settings, table, made[0]["version"] - 1, place)
        jobs.load(_JOB)(spark, place)
        compared += [_compare(spark, settings, place, table, made[-1]["version"]) for table, made in written.items()]
        commits += [row for made in written.values() for row in made]
    return compared, commits


def _place(own: Settings, number: int) -> Settings:
    """Below the root of the tables made again; beside it where that is a catalog's schema (theirs must be there, too)."""
    root = own.paths.tables
    below = f"{root}_cleaning_{number}" if re.fullmatch(r"\w+\.\w+", root) else f"{root}/cleaning-{number}"
    here = {"tables": below, "checkpoints": f"{own.paths.checkpoints}/cleaning-{number}"}
    return own.model_copy(update={"paths": own.paths.model_copy(update=here)})


def _cleanings(spark: SparkSession, settings: Settings, run_id: str) -> list[Cleaning]:
    """The run's cleanings, oldest first. One may have made several takes, all of which read raw_events as of one version."""
    found: list[Cleaning] = []
    begun: int | None = None
    written = {table.name: _commits(spark, settings, table) for table in loop.writes(_JOB) if tables.exists(spark, settings, table)}
    for ended in dict.fromkeys(row["inputs"][tables.RAW_EVENTS.name] for row in written.get(tables.EVENTS.name, [])):
        of_all = {name: [row for row in rows if row["inputs"][tables.RAW_EVENTS.name] == ended] for name, rows in written.items()}
        if of_all[tables.EVENTS.name][0]["run_id"] == run_id:
            found.append(Cleaning(begun, ended, {name: rows for name, rows in of_all.items() if rows}))
        begun = ended
    return found


def _commits(spark: SparkSession, settings: Settings, table: Table) -> list[Row]:
    """The table's commits by clean_events, oldest first."""
    is_ours = (F.col("job") == _JOB) & (F.col("operation") == "WRITE") & F.col("inputs")[tables.RAW_EVENTS.name].isNotNull()
    rows = tables.history(spark, settings, table).where(is_ours)
    return rows.select("version", "run_id", "inputs", "settings").orderBy("version").collect()


def _compare(spark: SparkSession, settings: Settings, place: Settings, table: Table, version: int) -> Compared:
    recorded, reproduced = tables.read_version(spark, settings, table, version), tables.read(spark, place, table)
    hashes = (tables.content_hash(frame.drop(*_NUMBERED)) for frame in (recorded, reproduced))
    return Compared(table.name, version, *hashes)
