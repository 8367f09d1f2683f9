"""A table in memory for a process that reads it again and again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession

from promoloop.settings import Settings
from promoloop.tables import store
from promoloop.tables.table import Table


@contextmanager
def held(spark: SparkSession, settings: Settings, table: Table) -> Iterator[Callable[[], DataFrame]]:
    """Yield what reads the table as it is now; what was read before is void once there is a new version. Raises UserError as `store.read`.

    Rows are kept in the executors' memory (and on their disks, where that is short) until then, or until the end of the `with`.
    """
    kept: dict[int, DataFrame] = {}  # one version at most

    def release() -> None:
        for rows in kept.values():
            rows.unpersist()
        kept.clear()

    def read() -> DataFrame:
        version = store.version(spark, settings, table)
        if version not in kept:
            release()
            # named with its version: Spark takes what is kept of a table without one for the table, whatever was written since
            kept[version] = store.read_version(spark, settings, table, version).persist()
        return kept[version]

    try:
        yield read
    finally:
        release()
