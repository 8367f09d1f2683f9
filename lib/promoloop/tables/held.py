"""A table in memory for a process that reads it again and again."""

from types import TracebackType
from typing import Self

from pyspark.sql import DataFrame, SparkSession

from promoloop.settings import Settings
from promoloop.tables import store
from promoloop.tables.table import Table


class Held:
    """Rows of a table, kept in the executors' memory (and on their disks, where that is short) until the table has a new version.

    The end of a `with` gives the memory back.
    """

    def __init__(self, spark: SparkSession, settings: Settings, table: Table) -> None:
        self._spark, self._settings, self._table = spark, settings, table
        self._rows: DataFrame | None = None
        self._version = -1

    def read(self) -> DataFrame:
        """The table as it is now; what was read before is void then. Raises UserError as `store.read`."""
        version = store.version(self._spark, self._settings, self._table)
        if self._rows is None or version != self._version:
            self._release()
            # named with its version: Spark takes what is kept of a table without one for the table, whatever was written since
            self._rows = store.read_version(self._spark, self._settings, self._table, version).persist()
            self._version = version
        return self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._release()

    def _release(self) -> None:
        if self._rows is not None:
            self._rows.unpersist()
            self._rows = None
