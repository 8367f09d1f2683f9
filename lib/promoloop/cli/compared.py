"""What a past run left, beside what making it again leaves."""

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import SparkSession

from promoloop import tables
from promoloop.errors import UserError
from promoloop.settings import Settings

BY_NAME = {table.name: table for table in tables.TABLES}


@dataclass(frozen=True)
class Compared:
    """One table of the run: the version it left, and the hash of its rows in it and in the reproduction."""

    table: str
    version: int
    recorded: int
    reproduced: int


def place_is_empty(spark: SparkSession, place: Settings, names: Iterable[str]) -> None:
    """Raise UserError where a table of `names` is there already."""
    if any(tables.exists(spark, place, BY_NAME[name]) for name in names):
        raise UserError(f"{place.paths.tables} holds tables already: name an empty place with --into")
