"""What holds for any DataFrame, whatever its rows are."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.util import inheritable_thread_target

_Made = TypeVar("_Made")
_One = TypeVar("_One")
_Other = TypeVar("_Other")
_AT_ONCE = 2
_FEW = 1_000_000


def as_json(columns: Collection[str]) -> Column:
    """`columns` as one JSON text, times to the microsecond: what is read back is what was there."""
    return F.to_json(F.struct(*columns), {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"})


def settle(rows: DataFrame) -> DataFrame:
    """The same rows, computed now and with their history forgotten; freed once nobody refers to them.

    For what many queries start from. A cached frame drags its whole plan through the analysis of each of them, which for frames of features
    costs more than the queries themselves.
    """
    return rows.localCheckpoint()


def settle_many(rows: DataFrame) -> DataFrame:
    """As `settle`, of rows that may be too many for memory, and are read a few times: on disk, where a collection of garbage sees none.

    What nobody refers to is freed by the next full collection, or by the one Spark asks for every `spark.cleaner.periodicGC.interval`.
    """
    return rows.localCheckpoint(storageLevel=StorageLevel.DISK_ONLY)


def settle_few(rows: DataFrame) -> DataFrame:
    """As `settle`, of rows that are few as a rule: where they are, a join takes them to the others instead of moving every row of those.

    Of none at all a plan knows it, and leaves out what would be joined with them.
    """
    settled = settle(rows)
    count = settled.limit(_FEW).count()
    if count == 0:
        return settled.where(F.lit(False))
    return F.broadcast(settled) if count < _FEW else settled


def side_by_side(spark: SparkSession, *tasks: Callable[[], _Made]) -> list[_Made]:
    """What each of `tasks` returns, in their order; two of them are at work at a time. Raises what one raised, and begins no other then.

    For work of many small queries: while the plan of one is made, on one core, the tasks of another keep the rest busy.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        begun = [pool.submit(inheritable_thread_target(spark)(task)) for task in tasks]
        try:
            for ended in as_completed(begun):
                ended.result()
        finally:
            for one in begun:
                one.cancel()
    return [one.result() for one in begun]


def both(spark: SparkSession, one: Callable[[], _One], other: Callable[[], _Other]) -> tuple[_One, _Other]:
    """As `side_by_side`, of two that return different things."""
    made: list[Any] = side_by_side(spark, one, other)
    return made[0], made[1]
