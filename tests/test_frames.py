"""Work on several frames at once."""

import threading

import pytest
from pyspark.sql import SparkSession

from promoloop.errors import UserError
from promoloop.frames import both, side_by_side


def test_what_is_made_side_by_side_comes_in_order_two_at_a_time(spark: SparkSession) -> None:
    at_work, most, lock, met = 0, 0, threading.Lock(), threading.Barrier(2)

    def count(number: int) -> int:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        if number < 2:
            met.wait(60)  # neither of the first two ends before the other has begun
        found = spark.range(number).count()
        with lock:
            at_work -= 1
        return found

    assert side_by_side(spark, *(lambda n=n: count(n) for n in range(5))) == [0, 1, 2, 3, 4]
    assert most == 2


def test_after_an_error_nothing_more_is_begun(spark: SparkSession) -> None:
    begun: list[int] = []
    failed = threading.Event()

    def fail() -> None:
        begun.append(0)
        failed.set()
        raise UserError("nothing to learn from")

    def go_on(number: int) -> None:
        begun.append(number)
        failed.wait(60)
        spark.range(10).count()

    with pytest.raises(UserError, match="nothing to learn from"):
        side_by_side(spark, fail, *(lambda n=n: go_on(n) for n in range(1, 30)))
    assert len(begun) < 30


def test_both_keep_their_kinds(spark: SparkSession) -> None:
    assert both(spark, lambda: "one", lambda: 2) == ("one", 2)
