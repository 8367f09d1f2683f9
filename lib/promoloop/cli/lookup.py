"""A few rows of a table for a person who waits: without a Spark session where the tables lie on a file system."""

from collections.abc import Callable
from typing import Any

from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import tables
from promoloop.settings import Settings
from promoloop.tables import Table

Lookup = Callable[..., list[dict[str, Any]]]
"""`lookup(table, column=value, ...)`: the rows where every column equals its value; none where the table has not been written yet."""


def without_spark(settings: Settings) -> Lookup | None:
    """A lookup that reads the files by delta-rs; None where the tables lie in a catalog or an object store."""

    def found(table: Table, /, **equal: object) -> list[dict[str, Any]]:
        path = tables.path_of(settings, table)
        if not DeltaTable.is_deltatable(str(path)):
            return []
        wanted = [(column, "=", value) for column, value in equal.items()] or None
        rows: list[dict[str, Any]] = DeltaTable(str(path)).to_pyarrow_table(filters=wanted).to_pylist(maps_as_pydicts="strict")
        return rows

    return None if None in (tables.path_of(settings, table) for table in (tables.OFFER_SCORES, tables.KEY_RING)) else found


def by_spark(spark: SparkSession, settings: Settings) -> Lookup:
    """The same by Spark, wherever the tables lie."""

    def found(table: Table, /, **equal: object) -> list[dict[str, Any]]:
        rows = tables.read_or_empty(spark, settings, table)
        for column, value in equal.items():
            rows = rows.where(F.col(column) == F.lit(value))
        return [row.asDict(recursive=True) for row in rows.collect()]

    return found
