"""The Spark parts on a random little shop, each against a few lines of plain Python."""

import math
from datetime import date
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.recommenders import (
    arrays,
    catalogue,
    content,
    cooccurrence,
    evaluation,
    factors,
    folding,
    hits,
    indexing,
    interactions,
    learning,
    trials,
)
from promoloop.recommenders import ranker as rankers
from promoloop.recommenders.folding import Factors
from promoloop.settings import load
from promoloop.settings.learning import RecommendersSettings

AS_OF = date(2026, 3, 2)


@pytest.fixture(scope="module")
def own() -> RecommendersSettings:
    return load(["ci"], ["recommenders.rank=6", "recommenders.iterations=4"]).recommenders


@pytest.fixture(scope="module")
def strengths(spark: SparkSession) -> DataFrame:
    """60 users × 25 items, a fifth of the pairs, strength from a hash."""
    pairs = spark.range(60 * 25).select(
        F.format_string("u%02d", (F.col("id") / 25).cast("int")).alias("user_id"),
        F.format_string("i%02d", F.col("id") % 25).alias("item_id"),
        F.pmod(F.xxhash64("id"), F.lit(1000)).alias("_draw"),
    )
    columns = {"count_purchases": 1, "days_since_purchase": 5, "days_since_first_purchase": 5, "kind": 2}
    chosen = pairs.where("_draw < 200").withColumn("strength", 0.5 + F.col("_draw") / 100.0).drop("_draw")
    return chosen.withColumns({name: F.lit(value) for name, value in columns.items()}).cache()


@pytest.fixture(scope="module")
def item_indexes(strengths: DataFrame) -> DataFrame:
    return catalogue.indexes(strengths.select("item_id").distinct()).cache()


def test_indexes_are_dense_and_do_not_depend_on_partitions(strengths: DataFrame) -> None:
    first = {row.user_id: row.user_index for row in indexing.per_id(strengths, "user_id").collect()}
    again = {row.user_id: row.user_index for row in indexing.per_id(strengths.repartition(7), "user_id").collect()}
    assert first == again
    assert sorted(first.values()) == list(range(len(first)))


def test_strength_weighs_kinds_decays_and_returns_take_away(spark: SparkSession, own: RecommendersSettings) -> None:
    events = spark.createDataFrame(
        [
            ("u", "i", "purchase", date(2026, 1, 31), 1, None),  # 30 days: half
            ("u", "i", "view", date(2026, 3, 1), None, None),
            ("u", "i", "purchase", AS_OF, 1, None),  # not yet known
            ("u", "back", "purchase", date(2026, 3, 1), 1, None),
            ("u", "back", "purchase", date(2026, 3, 1), -1, None),
            ("u", "loved", "review", date(2026, 3, 1), None, 5),
            ("u", "many", "purchase", date(2026, 1, 31), 24, None),
            ("u", "many", "purchase", date(2026, 2, 5), -6, None),
            ("u", "left", "cart", date(2026, 3, 1), -1, None),
            ("u", "twice", "purchase", date(2026, 2, 20), 1, None),  # two lines of one order
            ("u", "twice", "purchase", date(2026, 2, 20), 1, None),
            ("v", "twice", "purchase", date(2026, 2, 20), 1, None),
            ("v", "twice", "purchase", date(2026, 2, 27), 1, None),
        ],
        "user_id string, item_id string, event_type string, occurred_on date, quantity int, rating int",
    )
    strengths = interactions.per_user_item(events, AS_OF, own)
    found = {row.item_id: row for row in strengths.where("user_id = 'u'").collect()}
    day = 0.5 ** (1 / 30)
    assert set(found) == {"i", "loved", "many", "twice"}, "what came back, or was left in the shop, leaves no trace"
    assert found["i"].strength == pytest.approx(5 / 2 + day)
    assert (found["i"].count_purchases, found["i"].days_since_purchase, found["i"].kind) == (1, 30, 2)
    assert found["loved"].strength == pytest.approx(4 * day)
    assert (found["many"].strength, found["many"].count_purchases) == (pytest.approx(5 / 2 * 18 / 24), 1), "18 of 24 were kept"
    (again,) = catalogue.repeats(strengths).where("item_id = 'twice'").collect()
    assert (again.buyers, again.repeaters, again.gaps, again.gap_days) == (2, 1, 1, 7)


def test_what_is_summed_up_before_a_day_and_added_to_later_is_as_if_summed_up_at_once(
    spark: SparkSession, own: RecommendersSettings
) -> None:
    split = date(2026, 2, 20)
    events = spark.createDataFrame(
        [
            ("u", "both", "purchase", date(2026, 1, 31), 1, None),
            ("u", "both", "view", split, None, None),
            ("u", "before", "purchase", date(2026, 2, 19), 2, None),
            ("u", "after", "review", date(2026, 3, 2), None, 4),
            ("u", "back", "purchase", date(2026, 2, 19), 1, None),  # returned after the split
            ("u", "back", "purchase", date(2026, 3, 1), -1, None),
            ("v", "both", "purchase", date(2026, 3, 1), 1, None),
        ],
        "user_id string, item_id string, event_type string, occurred_on date, quantity int, rating int",
    )
    since = interactions.sums_of_all(events.where(F.col("occurred_on") >= F.lit(split)), split, own)
    together = interactions.added(interactions.sums(events, split, own), since).transform(interactions.followed, own)
    days_after = {"u": date(2026, 3, 3), "v": date(2026, 3, 2)}  # of each one's last event
    u, v = (interactions.per_user_item(events.where(F.col("user_id") == whom), day, own) for whom, day in days_after.items())
    found, expected = (
        {(row.user_id, row.item_id): row.asDict() for row in frame.collect()}
        for frame in (interactions.settled(together), u.unionByName(v))
    )
    assert set(found) == set(expected) == {("u", "both"), ("u", "before"), ("u", "after"), ("v", "both")}
    for key, row in expected.items():
        assert found[key] == {**row, "strength": pytest.approx(row["strength"])}


def test_folding_gives_the_user_factors_of_mllib(strengths: DataFrame, item_indexes: DataFrame, own: RecommendersSettings) -> None:
    users = indexing.per_id(strengths, "user_id")
    rated = strengths.join(item_indexes, "item_id").join(users, "user_id").withColumn("strength", F.col("strength").cast("float"))
    als = ALS(rank=6, maxIter=4, regParam=own.regularisation, alpha=own.alpha, implicitPrefs=True, seed=3, numUserBlocks=2, numItemBlocks=2)
    model = als.setParams(userCol="user_index", itemCol="item_index", ratingCol="strength").fit(rated)
    table = model.itemFactors.orderBy("id").toArrow()
    items = Factors.of(np.array(table["features"].to_pylist(), dtype=np.float32), own.alpha, own.regularisation)
    ours = factors.train(strengths, item_indexes, own, seed=3, blocks=2).orderBy("item_index").toArrow()
    np.testing.assert_allclose(ours["factors"].to_pylist(), table["features"].to_pylist(), rtol=1e-5)
    histories = interactions.histories(strengths, item_indexes, own).join(users, "user_id").orderBy("user_index")
    batch = histories.select("history").toArrow().combine_chunks().to_batches()[0]
    folded, _ = folding.fold_in(arrays.flat(batch), items)
    theirs = model.userFactors.orderBy("id").toArrow()["features"].to_pylist()
    np.testing.assert_allclose(folded, theirs, rtol=2e-3, atol=2e-4)


def test_trials_take_the_parameters_that_foresee_best(strengths: DataFrame, item_indexes: DataFrame) -> None:
    flat, sharp = "{ regularisation = 1000000.0 }", "{ regularisation = 0.01, alpha = 5.0, rank = 8 }"
    own = load(["ci"], ["recommenders.rank=6", "recommenders.regularisation=1e6", f"recommenders.trials=[{flat}, {sharp}]"]).recommenders
    taken = strengths.join(item_indexes, "item_id").groupBy("user_id").agg(F.collect_list("item_index").alias("taken"))
    chosen, figures = trials.choose(strengths, taken, item_indexes, own, seed=1, blocks=2)
    assert (chosen.rank, chosen.regularisation, chosen.alpha) == (8, 0.01, 5.0)
    assert set(figures) == {
        "ndcg_als_rank_6_regularisation_1e06_alpha_2",
        "ndcg_als_rank_8_regularisation_0.01_alpha_5",
    }
    assert figures["ndcg_als_rank_8_regularisation_0.01_alpha_5"] > 0.5
    without = own.model_copy(update={"trials": ()})
    assert trials.choose(strengths, taken, item_indexes, without, seed=1, blocks=2) == (without, {})


def test_ndcg_by_index_is_that_of_plain_python() -> None:
    rng = np.random.default_rng(7)
    items = np.array([rng.permutation(30)[:10] for _ in range(40)])
    items[5, 3:] = -1
    taken = [rng.permutation(30)[: rng.integers(1, 15)].tolist() for _ in range(40)]
    found = hits.ndcg(items, pa.array(taken, pa.list_(pa.int32())), 30)
    for row in range(40):
        listed = [str(item) for item in items[row] if item >= 0]
        assert found[row] == pytest.approx(plain_measures(listed, {str(item) for item in taken[row]}, 10)["ndcg"])


def test_cooccurrence_is_the_cosine_over_users(strengths: DataFrame, item_indexes: DataFrame, own: RecommendersSettings) -> None:
    histories = interactions.histories(strengths, item_indexes, own)
    found = cooccurrence.per_item(histories, 25, 4).collect()
    lists = {row.user_id: row.history for row in histories.collect()}
    vectors = np.zeros((len(lists), 25))
    for row, history in enumerate(lists.values()):
        for entry in history:
            vectors[row, entry["item"]] = math.log1p(entry["strength"]) / math.sqrt(len(history))
    norms = np.linalg.norm(vectors, axis=0)
    cosines = vectors.T @ vectors / (norms[:, None] * norms[None, :] + 1e-3)
    np.fill_diagonal(cosines, 0)
    assert len(found) == 25
    for row in found:
        best = np.sort(cosines[row.item_index])[::-1][:4]
        np.testing.assert_allclose(row.weights, best, rtol=1e-4)
        np.testing.assert_allclose(cosines[row.item_index, row.neighbours], row.weights, rtol=1e-4)


def test_content_is_close_for_items_of_a_kind(spark: SparkSession) -> None:
    goods = [
        ("a", "Bread", "Mill", 2.0, "Rye loaf with seeds"),
        ("b", "Bread", "Mill", 2.1, None),
        ("c", "Soap", "Spring", 9.0, "Foam bath"),
        ("d", "Tea", "Hill", None, None),
        ("e", "Pen", "Quill", None, None),
        ("f", None, None, None, None),
    ]
    items = spark.createDataFrame(goods, "item_id string, category string, brand string, price double, text string")
    vectors = {}
    for row in content.per_item(items, 512).collect():
        vectors[row.item_id] = np.zeros(512)
        vectors[row.item_id][row.places] = row.weights
        vectors[row.item_id] /= np.linalg.norm(vectors[row.item_id])
    assert vectors["a"] @ vectors["b"] > 0.4
    assert abs(vectors["a"] @ vectors["c"]) < 0.2
    assert abs(vectors["d"] @ vectors["e"]) < 0.01, "two unknown prices are not alike"
    assert "f" not in vectors, "nothing is known of it"


def plain_measures(items: list[str], relevant: set[str], k: int) -> dict[str, float]:
    hits = [item in relevant for item in items[:k]]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit]
    return {
        "precision": sum(hits) / k,
        "recall": sum(hits) / len(relevant),
        "ndcg": sum(1 / math.log2(rank + 2) for rank, hit in enumerate(hits) if hit) / ideal,
        "map": sum(precisions) / min(k, len(relevant)),
        "mrr": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
    }


@pytest.fixture(scope="module")
def judged(spark: SparkSession) -> tuple[DataFrame, DataFrame, dict[str, list[str]], dict[str, set[str]]]:
    rng = np.random.default_rng(4)
    names = [f"i{item}" for item in range(20)]
    lists = {f"u{user}": list(rng.permutation(names)[: rng.integers(3, 8)]) for user in range(30)}
    relevant = {f"u{user}": set(rng.permutation(names)[: rng.integers(1, 9)]) for user in range(32)}
    rows = [(user, rank + 1, str(item)) for user, items in lists.items() for rank, item in enumerate(items)]
    wanted = [(user, str(item)) for user, items in relevant.items() for item in items]
    return (
        spark.createDataFrame(rows, "user_id string, rank int, item_id string"),
        spark.createDataFrame(wanted, "user_id string, item_id string"),
        lists,
        relevant,
    )


def test_accuracy_equals_plain_python(judged: tuple[DataFrame, DataFrame, dict[str, list[str]], dict[str, set[str]]]) -> None:
    frame, wanted, lists, relevant = judged
    found = {row.user_id: row for row in evaluation.per_user(frame, wanted, 5).collect()}
    assert set(found) == set(relevant)
    for user, row in found.items():
        for name, value in plain_measures(lists.get(user, []), relevant[user], 5).items():
            assert row[name] == pytest.approx(value), (user, name)


def test_novelty_diversity_and_coverage_equal_plain_python(
    judged: tuple[DataFrame, DataFrame, dict[str, list[str]], dict[str, set[str]]], spark: SparkSession
) -> None:
    frame, wanted, lists, relevant = judged
    novelty = {row.user_id: row.novelty for row in evaluation.novelty_per_user(frame, wanted, 5).collect()}
    touched = {item: sum(item in items for items in relevant.values()) for item in {f"i{n}" for n in range(20)}}
    for user, items in lists.items():
        bits = [-math.log2((touched[item] or 0.5) / len(relevant)) for item in items[:5]]
        assert novelty[user] == pytest.approx(sum(bits) / len(bits))
    rng = np.random.default_rng(5)
    vectors = {f"i{item}": rng.normal(size=4) if item else np.zeros(4) for item in range(19)}  # nothing is known of i19
    rows = [(item, [0, 1, 2, 3], vector.tolist()) for item, vector in vectors.items()]
    described = spark.createDataFrame(rows, "item_id string, places array<int>, weights array<double>")
    diversity = {row.user_id: row.diversity for row in evaluation.diversity_per_user(frame, described, 5).collect()}
    for user, items in lists.items():
        units = [vector / (np.linalg.norm(vector) or 1) for vector in (vectors.get(item, np.zeros(4)) for item in items[:5])]
        cosines = [float(one @ other) for one, other in combinations(units, 2)]
        assert diversity[user] == pytest.approx(1 - sum(cosines) / len(cosines))
    covered = {item for items in lists.values() for item in items[:5]}
    assert evaluation.coverage(frame, 20, 5).first()["coverage"] == pytest.approx(len(covered) / 20)


def test_bootstrap_interval_has_the_width_of_the_standard_error(spark: SparkSession) -> None:
    measures = spark.range(4000).select(
        F.concat(F.lit("u"), "id").alias("user_id"),
        F.when(F.col("id") % 4 == 0, "few").otherwise("many").alias("segment"),
        (F.pmod(F.xxhash64("id"), F.lit(100)) < 30).cast("double").alias("ndcg"),
    )
    rows = {row.scope: row for row in evaluation.summarise(measures, ("ndcg",), 200, 1).collect()}
    again = {row.scope: row for row in evaluation.summarise(measures.repartition(5), ("ndcg",), 200, 1).collect()}
    assert set(rows) == {"all", "segment:few", "segment:many"}
    assert (rows["all"].count_users, rows["segment:few"].count_users) == (4000, 1000)
    for scope, row in rows.items():
        share = row.value
        expected = 2 * 1.96 * math.sqrt(share * (1 - share) / row.count_users)
        assert row.low < share < row.high
        assert row.high - row.low == pytest.approx(expected, rel=0.25)
        assert again[scope].low == pytest.approx(row.low)


def test_the_neural_ranker_in_numpy_is_the_one_trained(spark: SparkSession, own: RecommendersSettings) -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(size=(300, len(rankers.FEATURES) + 3)).astype(np.float32)
    values[:, 2] = 0.0  # a constant input must not divide by zero
    labels = (values[:, 0] * values[:, 1] > 0).astype(float)
    rows = [(row.tolist(), float(label)) for row, label in zip(values, labels, strict=True)]
    examples = spark.createDataFrame(rows, "inputs array<float>, label double")
    pipeline = learning.train_pipeline(examples, own, seed=1)
    theirs = pipeline.transform(examples.select("label", learning.array_to_vector(F.col("inputs")).alias("vector")))
    expected = np.array([row.probability[1] for row in theirs.select("probability").collect()])
    ours = rankers.from_document(learning.from_pipeline(pipeline).to_document())
    np.testing.assert_allclose(1 / (1 + np.exp(-ours.score(values))), expected, atol=1e-4)
    assert np.mean((ours.score(values) > 0) == labels) > 0.9
