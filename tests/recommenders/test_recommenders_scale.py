"""Top-k for many users and large catalogues, promotions, and lists that follow the events."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.recommenders import clusters, nearest, realtime

RANK = 8


@pytest.fixture(scope="module")
def factors(spark: SparkSession) -> tuple[DataFrame, DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    middles = rng.normal(size=(20, RANK))
    items = (middles[rng.integers(0, 20, 900)] + 0.2 * rng.normal(size=(900, RANK))).astype(np.float32)
    users = (middles[rng.integers(0, 20, 700)] + 0.2 * rng.normal(size=(700, RANK))).astype(np.float32)
    user_rows = [(f"u{number:03}", row.tolist()) for number, row in enumerate(users)]
    item_rows = [(f"i{number:03}", row.tolist()) for number, row in enumerate(items)]
    return (
        spark.createDataFrame(user_rows, "user_id string, factors array<float>"),
        spark.createDataFrame(item_rows, "item_id string, factors array<float>"),
        users,
        items,
    )


def test_nearest_equals_a_full_sort_without_the_sold_out_and_the_excluded(
    factors: tuple[DataFrame, DataFrame, np.ndarray, np.ndarray],
) -> None:
    frame, _, users, items = factors
    is_available = np.ones(len(items), dtype=bool)
    is_available[::3] = False
    excluded = frame.withColumn("without", F.when(F.col("user_id") == "u000", F.array(F.lit(1), F.lit(2))))
    found = {row.user_id: row for row in nearest.per_user(excluded, items, 10, 64, is_available).collect()}
    assert len(found) == len(users)
    scores = users @ items.T
    scores[:, ~is_available] = -np.inf
    scores[0, [1, 2]] = -np.inf
    for number, row in enumerate(scores):
        expected = np.sort(row)[::-1][:10]
        np.testing.assert_allclose(found[f"u{number:03}"].scores, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(row[found[f"u{number:03}"]["items"]], expected, rtol=1e-4, atol=1e-5)


def test_clusters_find_nearly_all_and_all_when_every_cluster_is_looked_into(
    factors: tuple[DataFrame, DataFrame, np.ndarray, np.ndarray],
) -> None:
    users, items, user_factors, item_factors = factors
    scores = user_factors @ item_factors.T
    best = [(f"u{number:03}", f"i{item:03}") for number, row in enumerate(scores) for item in np.argsort(-row, kind="stable")[:10]]
    exact = users.sparkSession.createDataFrame(best, "user_id string, item_id string")
    some = clusters.recall(clusters.per_user(users, items, 10, 16, 3, seed=1, salts=2), exact).first()["recall"]
    full = clusters.per_user(users, items, 10, 16, 16, seed=1).cache()
    assert 0.85 < some <= 1.0
    assert clusters.recall(full, exact).first()["recall"] > 0.999, "but for ties"
    assert full.groupBy("user_id").count().where("count != 10").isEmpty()


def test_only_users_with_something_new_are_touched(spark: SparkSession) -> None:
    as_of = date(2026, 3, 2)
    arrived = spark.createDataFrame(
        [("old", "i", date(2026, 3, 1)), ("new", "i", as_of), ("new", "j", as_of), ("offer", None, as_of), (None, "i", as_of)],
        "user_id string, item_id string, occurred_on date",
    )
    assert [row.user_id for row in realtime.touched(arrived, as_of).collect()] == ["new"]
    assert realtime.day_after(arrived) == date(2026, 3, 3)
    assert realtime.day_after(arrived.where("false")) is None


def test_meeting_of_users_without_items_is_empty() -> None:
    lists = pa.array([[1.0, 2.0]], pa.list_(pa.float32()))
    users = pa.table({"user_id": ["u"], "factors": lists})
    items = pa.table({"item_id": pa.array([], pa.string()), "factors": lists.slice(1)})
    assert clusters._meet(users, items, 3).num_rows == 0
