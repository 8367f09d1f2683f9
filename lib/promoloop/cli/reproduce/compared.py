"""What a past run left, beside what making it again leaves."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from rich.table import Table as Grid

from promoloop import tables
from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.tables import Table


@dataclass(frozen=True)
class Compared:
    """One table of the run: the version it left, and the hash of its rows in it and in the reproduction."""

    table: str
    version: int
    recorded: int
    reproduced: int


@dataclass(frozen=True)
class Reproduced:
    """Every table made again, whether by the settings of then, and what was not made again, and why."""

    compared: Sequence[Compared]
    is_by_same_settings: bool
    left_out: Sequence[str]


def require_empty(spark: SparkSession, place: Settings, written: Iterable[Table]) -> None:
    """Raise UserError where a table of `written` is there already."""
    if any(tables.exists(spark, place, table) for table in written):
        raise UserError(f"{place.paths.tables} holds tables already: name an empty place with --into")


@contextmanager
def reading_past_versions(job: str) -> Iterator[None]:
    """Turn the failure to read files that are gone into a UserError that says so."""
    try:
        yield
    except Exception as error:
        if "FAILED_READ_FILE" in str(error):
            raise UserError(f"{job}: files of a version the run read are gone, by forget, rekey or a vacuum") from error
        raise


def compare(
    spark: SparkSession, settings: Settings, place: Settings, table: Table, version: int, chosen: Callable[[DataFrame], DataFrame]
) -> Compared:
    """The rows of `table` that are `chosen`: of its `version` here, and in `place`."""
    recorded, reproduced = tables.read_version(spark, settings, table, version), tables.read(spark, place, table)
    return Compared(table.name, version, *(tables.content_hash(chosen(rows)) for rows in (recorded, reproduced)))


def shown(compared: Sequence[Compared]) -> Grid:
    """Every table with both hashes."""
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("table", "version", "recorded", "reproduced", ""):
        grid.add_column(heading, justify="right" if heading in ("version", "recorded", "reproduced") else "left", no_wrap=True)
    for one in compared:
        hashes = (f"{value & (2**64 - 1):016x}" for value in (one.recorded, one.reproduced))
        grid.add_row(one.table, str(one.version), *hashes, "identical" if one.recorded == one.reproduced else "differs")
    return grid
