"""Rankers learned from what users did next: candidates as of a day, labelled by the purchases of the days that followed."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyspark.ml import PipelineModel
from pyspark.ml.classification import LogisticRegression, MultilayerPerceptronClassificationModel, MultilayerPerceptronClassifier
from pyspark.ml.feature import StandardScaler, StandardScalerModel
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.recommenders import arrays, candidates, hits, ranker, serving, topk
from promoloop.recommenders.arrays import Lookup, uniforms
from promoloop.recommenders.candidates import FEATURES
from promoloop.recommenders.catalogue import Catalogue
from promoloop.recommenders.ranker import Linear, Neural, Ranker
from promoloop.settings.learning import RecommendersSettings

_FEWEST_TAKEN = 30


def examples(users: DataFrame, catalogue: Catalogue, settings: RecommendersSettings, seed: int) -> DataFrame:
    """Rows `inputs` (array<float>, as of `ranker.inputs`) and `label` (1.0: taken): all candidates taken, a sample of the others.

    `users`: user_id, cell, history, taken (array of item indexes). The sample is hashed from user and item.
    """
    rows = candidates.rows_at_once(catalogue, settings.memory_mb)

    def labelled(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield _labelled(batch.slice(start, rows), catalogue, settings)

    hashed = users.select("user_id", "cell", "history", "taken", F.xxhash64("user_id", F.lit(seed)).alias("hash"))
    return hashed.mapInArrow(labelled, "inputs array<float>, label double")


def _labelled(batch: pa.RecordBatch, catalogue: Catalogue, settings: RecommendersSettings) -> pa.RecordBatch:
    histories = arrays.flat(batch)
    proposed = candidates.propose(histories, serving.cells(batch, catalogue), catalogue, settings)
    users, items = proposed.pairs.users, proposed.pairs.items
    taken = Lookup(hits.keys(batch.column("taken"), len(catalogue))).find(users * len(catalogue) + items) >= 0
    drawn = uniforms(batch.column("hash").to_numpy()[users], items)
    kept = taken | (drawn * np.bincount(users, minlength=len(histories))[users] < settings.ranker_negatives)
    values = ranker.inputs(proposed, catalogue)[kept]
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel().astype(np.float32)))
    return pa.record_batch([lists, pa.array(taken[kept].astype(np.float64))], names=["inputs", "label"])


def judge(users: DataFrame, catalogue: Catalogue, rankers: Mapping[str, Ranker], settings: RecommendersSettings) -> dict[str, float]:
    """`ndcg_{name}` of each ranker: mean NDCG@10 over `users` (as of `examples`), all rankers in one pass; 0 where there are no users."""
    rows = candidates.rows_at_once(catalogue, settings.memory_mb)

    def judged(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield _judged(batch.slice(start, rows), catalogue, rankers, settings)

    schema = ", ".join(f"ndcg_{name} double" for name in rankers)
    measured = users.select("user_id", "cell", "history", "taken").mapInArrow(judged, schema)
    means = measured.agg(*[F.round(F.coalesce(F.avg(name), F.lit(0.0)), 6).alias(name) for name in measured.columns]).first()
    assert means is not None
    return {name: float(value) for name, value in means.asDict().items()}


def _judged(batch: pa.RecordBatch, catalogue: Catalogue, rankers: Mapping[str, Ranker], settings: RecommendersSettings) -> pa.RecordBatch:
    histories = arrays.flat(batch)
    proposed = candidates.propose(histories, serving.cells(batch, catalogue), catalogue, settings)
    values = ranker.inputs(proposed, catalogue)
    found = {}
    for name, one in rankers.items():
        users = proposed.pairs.users
        items, _ = topk.select_among(users, proposed.pairs.items, one.score(values), len(histories), hits.JUDGED_AT)
        found[f"ndcg_{name}"] = hits.ndcg(items, batch.column("taken"), len(catalogue))
    return pa.record_batch([pa.array(values) for values in found.values()], names=list(found))


def is_enough(examples: DataFrame) -> bool:
    """Whether both labels occur often enough to learn from."""
    counts = {row["label"]: row["count"] for row in examples.groupBy("label").count().collect()}
    return bool(min(counts.get(0.0, 0), counts.get(1.0, 0)) >= _FEWEST_TAKEN)


def linear(examples: DataFrame) -> Linear:
    """A logistic regression over the features."""
    features = examples.select("label", array_to_vector(F.slice("inputs", 1, len(FEATURES))).alias("features"))
    model = LogisticRegression(regParam=1e-4, maxIter=50, tol=1e-5).fit(features)
    return Linear(model.coefficients.toArray().astype(np.float32), float(model.intercept))


def neural(examples: DataFrame, settings: RecommendersSettings, seed: int) -> Neural:
    """A perceptron with one hidden layer over features and factor products."""
    return from_pipeline(train_pipeline(examples, settings, seed))


def train_pipeline(examples: DataFrame, settings: RecommendersSettings, seed: int) -> PipelineModel:
    """Scaling and perceptron as MLlib models."""
    vectors = examples.select("label", array_to_vector(F.col("inputs")).alias("vector"))
    scaler = StandardScaler(inputCol="vector", outputCol="features", withMean=True).fit(vectors)
    width = len(scaler.mean)
    perceptron = MultilayerPerceptronClassifier(
        layers=[width, settings.neural_nodes, 2], maxIter=settings.neural_iterations, seed=seed, blockSize=256, tol=1e-6
    )
    return PipelineModel([scaler, perceptron.fit(scaler.transform(vectors))])


def from_pipeline(pipeline: PipelineModel) -> Neural:
    """The same function in numpy. MLlib keeps each layer as outputs × inputs, column by column, followed by its biases."""
    scaler, perceptron = pipeline.stages
    assert isinstance(scaler, StandardScalerModel)
    assert isinstance(perceptron, MultilayerPerceptronClassificationModel)
    deviations = scaler.std.toArray()
    scales = np.where(deviations > 0, 1 / np.where(deviations > 0, deviations, 1), 0)
    sizes, flat, layers = perceptron.getLayers(), perceptron.weights.toArray(), []
    for count_in, count_out in pairwise(sizes):
        matrix, flat = flat[: count_in * count_out].reshape((count_out, count_in), order="F"), flat[count_in * count_out :]
        layers.append((matrix.astype(np.float32), flat[:count_out].astype(np.float32)))
        flat = flat[count_out:]
    return Neural(scaler.mean.toArray().astype(np.float32), scales.astype(np.float32), tuple(layers))
