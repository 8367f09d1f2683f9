"""Top-k for many users and large catalogues, promotions, and lists that follow the events."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.recommenders import catalogue, clusters, folding, interactions, nearest, ranker, realtime, serving
from promoloop.recommenders.catalogue import unit
from promoloop.recommenders.folding import Factors
from promoloop.recommenders.training import Shop
from promoloop.settings import load

RANK = 8


@dataclass(frozen=True)
class Goods:
    """Of a catalogue only what the stream changes."""

    item_ids: pa.Array
    is_available: np.ndarray

    def __len__(self) -> int:
        return len(self.item_ids)


@pytest.fixture(scope="module")
def factors(spark: SparkSession) -> tuple[DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    middles = rng.normal(size=(20, RANK))
    items = (middles[rng.integers(0, 20, 900)] + 0.2 * rng.normal(size=(900, RANK))).astype(np.float32)
    users = (middles[rng.integers(0, 20, 700)] + 0.2 * rng.normal(size=(700, RANK))).astype(np.float32)
    rows = [(f"u{number:03}", row.tolist()) for number, row in enumerate(users)]
    return spark.createDataFrame(rows, "user_id string, factors array<float>"), users, items


def test_nearest_equals_a_full_sort_without_the_sold_out_and_the_excluded(
    factors: tuple[DataFrame, np.ndarray, np.ndarray],
) -> None:
    frame, users, items = factors
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


@pytest.fixture(scope="module")
def crowd() -> tuple[np.ndarray, np.ndarray]:
    """Factors of 60 users and of 900 items around 20 middles."""
    rng = np.random.default_rng(8)
    middles = rng.normal(size=(20, RANK))
    users, items = (middles[rng.integers(0, 20, count)] + 0.2 * rng.normal(size=(count, RANK)) for count in (60, 900))
    return users.astype(np.float32), items.astype(np.float32)


def closed(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)  # type: ignore[return-value]


def test_clusters_hold_every_item_once_and_find_nearly_all(crowd: tuple[np.ndarray, np.ndarray]) -> None:
    users, items = crowd
    parts = clusters.split(items, 30, seed=1)
    assert sorted(parts.members.tolist()) == list(range(900))
    is_available = np.ones(900, dtype=bool)
    is_available[::7] = False
    without = closed(*((0, item) for item in range(0, 900, 2)), (3, 5))
    exact, scores = nearest.best(users, items.T, 10, np.flatnonzero(~is_available), without)
    some, _ = clusters.best(users, items, parts, 10, 2, is_available, without)
    shares = [len(set(mine) & set(theirs)) / 10 for mine, theirs in zip(some.tolist(), exact.tolist(), strict=True)]
    assert 0.7 < np.mean(shares) < 1.0, "two of thirty clusters are not all of them"
    full, values = clusters.best(users, items, parts, 10, 30, is_available, without)
    np.testing.assert_allclose(values, scores, rtol=1e-5, atol=1e-6)
    assert np.mean(full == exact) > 0.99, "but for ties"


def test_clusters_of_identical_items_and_of_fewer_than_clusters(crowd: tuple[np.ndarray, np.ndarray]) -> None:
    users, items = crowd
    for few in (np.repeat(items[:1], 40, axis=0), items[:3]):
        parts = clusters.split(few, 6, seed=1)
        found, _ = clusters.best(users, few, parts, 5, 6, np.ones(len(few), dtype=bool), closed())
        assert (np.sort(found, axis=1)[:, -min(5, len(few)) :] >= 0).all()


def test_cold_items_take_the_factors_of_those_most_like_them_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    kinds = rng.integers(0, 12, 800)
    content = unit((rng.normal(size=(12, 16))[kinds] + 0.1 * rng.normal(size=(800, 16))).astype(np.float32))
    factors = (rng.normal(size=(12, RANK))[kinds] + 0.1 * rng.normal(size=(800, RANK))).astype(np.float32)
    factors[600:] = 0
    exact = Factors.of(factors, 1.0, 0.1).filled(content).items
    assert (np.linalg.norm(exact[600:], axis=1) > 0).all()
    np.testing.assert_array_equal(exact[:600], factors[:600])
    monkeypatch.setattr(folding, "_MANY_COSINES", 1000)
    near = Factors.of(factors, 1.0, 0.1).filled(content).items
    cosines = np.einsum("ij,ij->i", unit(near[600:]), unit(exact[600:]))
    assert cosines.min() > 0.99


def test_only_users_with_something_new_are_touched(spark: SparkSession) -> None:
    as_of = date(2026, 3, 2)
    arrived = spark.createDataFrame(
        [("old", "i", date(2026, 3, 1)), ("new", "i", as_of), ("new", "j", as_of), ("offer", None, as_of), (None, "i", as_of)],
        "user_id string, item_id string, occurred_on date",
    )
    assert [row.user_id for row in realtime.touched(arrived, as_of).collect()] == ["new"]
    assert realtime.is_news(arrived, as_of)
    assert not realtime.is_news(arrived, date(2026, 3, 3))


def test_a_late_event_hides_no_newer_one(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "recommend", lambda users, *_, **__: users)
    as_of, own = date(2026, 3, 2), load(["ci"], []).recommenders
    events = spark.createDataFrame(
        [
            ("u", "a", "purchase", date(2026, 2, 20), 1, None),
            ("u", "b", "view", as_of, 1, None),
            ("u", "c", "cart", date(2026, 3, 5), 1, None),
        ],
        "user_id string, item_id string, event_type string, occurred_on date, quantity int, rating int",
    )
    users = spark.createDataFrame([("u", "25-34", "female")], "user_id string, age_band string, gender string")
    shop = Shop(events, users, spark.createDataFrame([("a", 1), ("b", 1), ("c", 1)], "item_id string, stock long"))
    goods, past = Goods(pa.array(["a", "b", "c"]), np.ones(3, dtype=bool)), realtime.Past(as_of, interactions.sums(events, as_of, own))
    follower = realtime.Follower(past, goods, ranker.UNTRAINED, own, seed=1)  # type: ignore[arg-type]
    with follower.lists(events.where("item_id = 'b'"), shop) as lists:
        assert lists is not None
        (row,) = lists.collect()
    found = {entry.item: (entry.strength, entry.purchases, entry.days) for entry in row.history}
    aged = [own.weight_purchase * 0.5 ** (14 / 30), own.weight_view * 0.5 ** (4 / 30), own.weight_cart * 0.5 ** (1 / 30)]
    assert found == {
        0: (pytest.approx(aged[0], rel=1e-6), 1, 14),
        1: (pytest.approx(aged[1], rel=1e-6), 0, -1),
        2: (pytest.approx(aged[2], rel=1e-6), 0, -1),
    }


def test_ranks_that_a_list_does_not_reach_are_gone() -> None:
    schema = pa.schema([("user_id", pa.string()), ("rank", pa.int32()), ("item_id", pa.string()), ("score", pa.float64())])
    gone = serving._unreached(schema, pa.array(["a", "b", "c"]), np.array([[5, 7, -1], [9, -1, -1], [-1, -1, -1]]))
    assert gone.schema == schema
    keys = zip(gone["user_id"].to_pylist(), gone["rank"].to_pylist(), strict=True)
    assert list(keys) == [("a", 3), ("b", 2), ("b", 3), ("c", 1), ("c", 2), ("c", 3)]
    assert gone["item_id"].null_count == gone["score"].null_count == 6


def test_stock_and_indexes_are_by_item_whatever_came_and_went(spark: SparkSession) -> None:
    goods = Goods(pa.array(["a", "c", "d"]), np.array([True, True, True]))
    now = spark.createDataFrame([("a", 1), ("b", 5), ("c", 0)], "item_id string, stock long")
    assert realtime.with_stock(goods, now).is_available.tolist() == [True, False, False]  # type: ignore[arg-type]
    rows = catalogue.indexes_of(goods, spark).collect()  # type: ignore[arg-type]
    assert [tuple(row) for row in rows] == [("a", 0), ("c", 1), ("d", 2)]
