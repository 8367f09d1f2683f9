"""The cleanings of a past run done again: what came into raw_events between two of its versions, judged beside the tables."""

from dataclasses import dataclass
from uuid import uuid4

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from promoloop import tables
from promoloop.cli import jobs, loop
from promoloop.cli.reproduce.compared import Compared, compare, reading_past_versions, require_empty
from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.tables import Table

_JOB = "clean_events"
_NUMBERED = ("take",)  # counts the takes of a checkpoint: here there is one alone


@dataclass(frozen=True)
class Cleaning:
    """A run of clean_events: versions of raw_events it began after (None: with the first) and read to, and its commits by table.

    `place`: settings with the places it is made again in.
    """

    begun: int | None
    ended: int
    commits: dict[str, list[Row]]
    place: Settings

    def written(self) -> dict[Table, list[Row]]:
        """The tables it wrote, with its commits to each."""
        return {table: self.commits[table.name] for table in loop.writes(_JOB) if table.name in self.commits}


def of_run(spark: SparkSession, settings: Settings, own: Settings) -> list[Cleaning]:
    """The cleanings of the run of `own`, oldest first, each with a place below that of `own`. Raises UserError where one holds tables."""
    found: list[Cleaning] = []
    begun: int | None = None
    written = {table.name: _commits(spark, settings, table) for table in loop.writes(_JOB) if tables.exists(spark, settings, table)}
    for ended in dict.fromkeys(row["inputs"][tables.RAW_EVENTS.name] for row in written.get(tables.EVENTS.name, [])):
        of_all = {name: [row for row in rows if row["inputs"][tables.RAW_EVENTS.name] == ended] for name, rows in written.items()}
        if of_all[tables.EVENTS.name][0]["run_id"] == own.run.run_id:
            found.append(Cleaning(begun, ended, {name: rows for name, rows in of_all.items() if rows}, _place(settings, own, len(found))))
            require_empty(spark, found[-1].place, (tables.RAW_EVENTS, *found[-1].written()))
        begun = ended
    return found


def again(spark: SparkSession, settings: Settings, cleaning: Cleaning) -> list[Compared]:
    """Do a cleaning again and compare the tables it wrote. Raises UserError where that cannot be."""
    first, place = cleaning.commits[tables.EVENTS.name][0], cleaning.place
    if len(cleaning.commits[tables.EVENTS.name]) > 1:
        raise UserError("it took what had come in several takes, whose bounds are not kept")
    if cleaning.begun is None and first["version"] > 1:
        raise UserError("the history of events does not reach back to the cleaning before it")
    if tables.is_catalog(place.paths.tables):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {place.paths.tables}")
    received = tables.read_version(spark, settings, tables.RAW_EVENTS, cleaning.ended)
    if cleaning.begun is not None:
        known = tables.read_version(spark, settings, tables.RAW_EVENTS, cleaning.begun).select(*tables.RAW_EVENTS.key)
        received = received.join(known, list(tables.RAW_EVENTS.key), "left_anti")
    with reading_past_versions(_JOB):
        tables.append_once(received, place, tables.RAW_EVENTS, "reproduce", 0)
        for table in (tables.USERS, tables.ITEMS):
            tables.clone_version(spark, settings, table, first["inputs"][table.name], place)
        for table, made in cleaning.written().items():
            if made[0]["version"] > 1:  # version 0 has no rows
                tables.clone_version(spark, settings, table, made[0]["version"] - 1, place)
        jobs.load(_JOB)(spark, place)
        return [
            compare(spark, settings, place, table, made[-1]["version"], lambda rows: rows.drop(*_NUMBERED))
            for table, made in cleaning.written().items()
        ]


def _place(settings: Settings, own: Settings, number: int) -> Settings:
    """Below the root of the tables made again; beside it, in a schema of its own, where that is a catalog's schema."""
    root = own.paths.tables
    below = f"{root}_cleaning_{number}" if tables.is_catalog(root) else f"{root}/cleaning-{number}"
    # streams remember: never twice in one place, and where executors write, too
    checkpoints = f"{settings.paths.checkpoints if tables.is_catalog(root) else below}/_reproduced-{uuid4().hex}"
    return own.at(tables=below, checkpoints=checkpoints)


def _commits(spark: SparkSession, settings: Settings, table: Table) -> list[Row]:
    """The table's commits by clean_events, oldest first."""
    is_ours = (F.col("job") == _JOB) & (F.col("operation") == "WRITE") & F.col("inputs")[tables.RAW_EVENTS.name].isNotNull()
    rows = tables.history(spark, settings, table).where(is_ours)
    return rows.select("version", "run_id", "inputs", "settings").orderBy("version").collect()
