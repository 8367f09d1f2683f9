"""What holds for any DataFrame, whatever its rows are."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pyspark.sql import DataFrame
from pyspark.util import inheritable_thread_target

Made = TypeVar("Made")
One = TypeVar("One")
Other = TypeVar("Other")
_AT_ONCE = 2


def settle(rows: DataFrame) -> DataFrame:
    """The same rows, computed now and with their history forgotten; freed once nobody refers to them.

    For what many queries start from. A cached frame drags its whole plan through the analysis of each of them, which for frames of features
    costs more than the queries themselves.
    """
    return rows.localCheckpoint()


def side_by_side(*tasks: Callable[[], Made]) -> list[Made]:
    """What each of `tasks` returns, in their order; two are at work at a time. Raises what the first of them raised, once all have ended.

    For work of many small queries: while the plan of one is made, on one core, the tasks of another keep the rest busy.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        begun = [pool.submit(inheritable_thread_target(task)) for task in tasks]
    return [one.result() for one in begun]


def both(one: Callable[[], One], other: Callable[[], Other]) -> tuple[One, Other]:
    """As `side_by_side`, of two that return different things."""
    made: list[Any] = side_by_side(one, other)
    return made[0], made[1]
