"""What training one profile model yields, and how its quality is measured on rows it has not seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pyspark.ml import Estimator, PipelineModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator, Evaluator
from pyspark.ml.feature import SQLTransformer
from pyspark.ml.functions import vector_to_array
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, ParamGridBuilder
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.settings.learning import ProfilesSettings

Params = dict[str, str | int | float | bool]
Number = TypeVar("Number", int, float)

_BINS = 10
_SHOWN = 15


@dataclass(frozen=True)
class Trained:
    """A model under its registry name: a Spark pipeline or a JSON document, with figures of the holdout and a card for readers."""

    name: str
    model: PipelineModel | Mapping[str, Any]
    figures: Mapping[str, float]
    params: Params
    card: Mapping[str, Any] = field(default_factory=dict)


def exact_auc(score: str) -> BinaryClassificationEvaluator:
    """Area under the ROC curve of column `score` against `label`, with a point for every score there is.

    The default draws a thousand points, of scores grouped as partitions happen to cut them: its fifth digit changes from run to run.
    """
    return BinaryClassificationEvaluator(rawPredictionCol=score, labelCol="label", numBins=0)


def binary_figures(judged: DataFrame) -> dict[str, float]:
    """Figures of predicted probabilities `p` against `label` (0 or 1): AUC, log loss, accuracy at one half, base rate and rows.

    `baseline_accuracy` is that of always saying the more frequent class, `baseline_log_loss` that of always saying the base rate.
    """
    p = F.least(F.greatest(F.col("p"), F.lit(1e-6)), F.lit(1 - 1e-6))
    loss = -F.when(F.col("label") == 1, F.log(p)).otherwise(F.log(1 - p))
    is_right = (F.col("p") >= 0.5) == (F.col("label") == 1)
    row = judged.agg(F.count("*"), F.avg("label"), F.avg(loss), F.avg(is_right.cast("double"))).first()
    count, rate, log_loss, accuracy = row if row is not None and row[0] else (0, 0.0, 0.0, 0.0)
    auc = 0.5  # of one class alone there is nothing to rank
    if 0 < rate < 1:
        auc = float(exact_auc("p").evaluate(judged))
    return {
        "holdout_auc": auc,
        "holdout_log_loss": float(log_loss),
        "holdout_accuracy": float(accuracy),
        "holdout_rate": float(rate),
        "baseline_accuracy": max(float(rate), 1 - float(rate)),
        "baseline_log_loss": entropy(float(rate)),
        "holdout_rows": float(count),
    }


def class_counts(rows: DataFrame) -> tuple[int, int]:
    """How many rows have label 0, and how many 1."""
    counts = {row["label"]: row["count"] for row in rows.groupBy("label").count().collect()}
    return counts.get(0.0, 0), counts.get(1.0, 0)


def entropy(rate: float) -> float:
    """Mean log loss of always saying `rate`, nats."""
    return -sum(p * math.log(p) for p in (rate, 1 - rate) if p > 0)


def top_accuracy(scored: DataFrame, judged: DataFrame, bought: str, by: str) -> dict[str, float]:
    """How often the name of the largest `by` is the one in the column `bought` of `judged`, among users who bought.

    `scored` holds pairs of user_id, as_of_on and name with `by`, interest, popularity and popularity_bought. Beside it the same for two
    baselines: the name most bought by all (`baseline_accuracy`), and that of the user's own greatest interest (`baseline_own_accuracy`).
    """
    key = ["user_id", "as_of_on"]
    orders = {"holdout_accuracy": by, "baseline_accuracy": "popularity_bought", "baseline_own_accuracy": "interest"}
    tops = [F.max_by("name", F.struct(column, "popularity", "name")).alias(name) for name, column in orders.items()]
    buyers = judged.where(F.col(bought).isNotNull()).select(*key, bought)
    best = buyers.join(scored.groupBy(*key).agg(*tops), key, "left")
    hits = [F.avg(F.coalesce(F.col(name) == F.col(bought), F.lit(False)).cast("double")).alias(name) for name in orders]
    row = best.agg(*hits, F.count("*").cast("double").alias("holdout_buyers")).first()
    return {name: float(value or 0.0) for name, value in (row.asDict() if row is not None else {}).items()}


def calibration(judged: DataFrame) -> list[dict[str, float]]:
    """Predicted against observed by tenths of the predicted probability `p`: one entry per tenth that has rows."""
    tenth = F.least(F.floor(F.col("p") * _BINS), F.lit(_BINS - 1))
    measures = (F.avg("p").alias("p"), F.avg("label").alias("y"), F.count("*").alias("n"))
    rows = judged.groupBy(tenth.alias("tenth")).agg(*measures).orderBy("tenth")
    return [{"predicted": round(row["p"], 4), "observed": round(row["y"], 4), "rows": row["n"]} for row in rows.collect()]


def tellable(card: Mapping[str, Any], k: int) -> dict[str, Any]:
    """The card without the tenths of its calibration that fewer than `k` rows are in."""
    return {key: [tenth for tenth in told if tenth["rows"] >= k] if key == "calibration" else told for key, told in card.items()}


def importances(names: Sequence[str], weights: Sequence[float]) -> list[dict[str, Any]]:
    """The features of most weight, by absolute value."""
    ranked = sorted(zip(names, weights, strict=True), key=lambda pair: (-abs(pair[1]), pair[0]))
    return [{"feature": name, "weight": round(float(weight), 6)} for name, weight in ranked[:_SHOWN] if weight]


def vector_names(assembled: DataFrame, column: str) -> list[str]:
    """Names of the slots of an assembled vector column, from its metadata."""
    attributes = assembled.schema[column].metadata["ml_attr"]["attrs"]
    slots = sorted((slot for kind in attributes.values() for slot in kind), key=lambda slot: slot["idx"])
    return [str(slot["name"]) for slot in slots]


def positive_probability() -> Column:
    """The probability of label 1 that a classifier put into its column `probability`."""
    return vector_to_array(F.col("probability"))[1]


def constant(statement: str) -> PipelineModel:
    """A model that is no more than columns added by SQL: what is used where there is too little to learn from."""
    return PipelineModel([SQLTransformer(statement=f"SELECT *, {statement} FROM __THIS__")])


def fold(user: Column, folds: int, seed: int) -> Column:
    """The fold of cross-validation a user's rows belong to, whatever the partitioning."""
    return F.pmod(F.xxhash64(user, F.lit(seed)), F.lit(folds)).cast("int")


def has_every_fold(rows: DataFrame, folds: int) -> bool:
    """Whether each of the `folds` has rows, without which there is no cross-validation: few users can miss some."""
    return rows.select("fold").distinct().count() == folds


def search(
    estimator: Estimator[Any], parameter: str, values: Sequence[float], evaluator: Evaluator, own: ProfilesSettings, seed: int
) -> CrossValidator:
    """Cross-validation over `values` of the estimator's `parameter`, to be fitted on rows with `fold`.

    By name, as the parameter has to be that of the estimator itself: a grid over its class's is passed over in silence.
    """
    return CrossValidator(
        estimator=estimator,
        estimatorParamMaps=ParamGridBuilder().addGrid(estimator.getParam(parameter), list(values)).build(),
        evaluator=evaluator,
        numFolds=own.folds,
        foldCol="fold",
        seed=seed,
        parallelism=2,
    )


def best_of(values: Sequence[Number], searched: CrossValidatorModel) -> tuple[Number, float]:
    """The best of the `values` that were searched, and its mean metric over the folds."""
    pick = max if searched.getEvaluator().isLargerBetter() else min
    best = pick(range(len(values)), key=lambda n: searched.avgMetrics[n])
    return values[best], float(searched.avgMetrics[best])


def thin(rows: DataFrame, key: Sequence[str], share: float, seed: int) -> DataFrame:
    """About `share` of the rows, chosen by a hash of their `key`: the same rows every time."""
    if share >= 1:
        return rows
    return rows.where(F.pmod(F.xxhash64(*key, F.lit(seed + 1)), F.lit(1_000_000)) < int(share * 1_000_000))
