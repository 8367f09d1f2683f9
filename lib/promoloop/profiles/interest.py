"""How a user's interest will spread over categories: ridge regression of the next window's shares on those of the past.

For each (user, category) the share of the user's engagement in the next horizon is a linear function of the past share, how recent and how
bought it is, and the category's popularity: a shrinkage of the past towards what everyone likes, whose weights can be read off.
"""

from typing import Any, cast

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from promoloop.frames import settle
from promoloop.profiles.pairs import KEY, with_candidates
from promoloop.profiles.trained import Params, Trained, best_of, constant, fold, has_every_fold, importances, search, thin, top_accuracy
from promoloop.settings.learning import ProfilesSettings

NAME = "category_interest"
_FEWEST = 20
_FEATURES = ("interest", "views_share", "carts_share", "rank", "fresh", "popularity", "popularity_bought", "trusted_interest")
_TRUSTED = "SELECT *, interest * log_activity AS trusted_interest FROM __THIS__"


def train(rows: DataFrame, holdout: DataFrame, latest: DataFrame, next_interest: DataFrame, own: ProfilesSettings, seed: int) -> Trained:
    """Choose by cross-validation on `rows`, judge on `holdout`, fit anew on `latest`; `next_interest` holds what came next.

    Where fewer than twenty pairs of `rows` or of `latest` were touched, or a fold has nobody, the past share stands for the next.
    """
    pairs = _labelled(rows, next_interest, own, seed).withColumn("fold", fold(F.col("user_id"), own.folds, seed))
    final_pairs = _labelled(latest, next_interest, own, seed)
    is_few = any(few.where("label > 0").limit(_FEWEST).count() < _FEWEST for few in (pairs, final_pairs))
    if is_few or not has_every_fold(pairs, own.folds):
        past = constant("interest AS prediction")
        judged = _labelled(holdout, next_interest, own, seed)
        return Trained(NAME, past, _figures(past, judged, holdout), {"kind": "past share", "is_constant": True})
    inputs = Pipeline(stages=_inputs()).fit(pairs)
    regression = LinearRegression(solver="normal", labelCol="label")
    evaluator = RegressionEvaluator(labelCol="label", metricName="rmse")
    searched = search(regression, "regParam", own.interest_penalties, evaluator, own, seed).fit(inputs.transform(pairs))
    penalty, cv_rmse = best_of(own.interest_penalties, searched)
    judged = _labelled(holdout, next_interest, own, seed)
    figures = {**_figures(PipelineModel([*inputs.stages, searched.bestModel]), judged, holdout), "cv_rmse": cv_rmse}
    final = Pipeline(stages=[*_inputs(), regression.copy({regression.regParam: penalty})]).fit(final_pairs)
    fitted = cast(Any, final.stages[-1])
    card = {
        "importances": importances(_FEATURES, [float(weight) for weight in fitted.coefficients.toArray()]),
        "intercept": round(float(fitted.intercept), 6),
        "baseline": "the past share as it is; for accuracy the category most bought by all, and the user's own of most interest",
    }
    params: Params = {
        "kind": "ridge regression", "penalty": penalty, "horizon_days": own.horizon_days, "folds": own.folds,
    }  # fmt: skip
    return Trained(NAME, final, figures, params, card)


def shares(model: PipelineModel, pairs: DataFrame) -> DataFrame:
    """Pairs of KEY and name with the expected share `share` of the user's engagement: not negative, 1 over a user's candidates."""
    positive = model.transform(pairs).withColumn("_share", F.greatest(F.col("prediction"), F.lit(0.0)))
    share = F.coalesce(F.try_divide(F.col("_share"), F.sum("_share").over(Window.partitionBy(*KEY))), F.lit(0.0))
    return positive.select(*KEY, "name", "popularity", share.alias("share"))


def _inputs() -> list[Any]:
    return [SQLTransformer(statement=_TRUSTED), VectorAssembler(inputCols=list(_FEATURES), outputCol="features")]


def _labelled(rows: DataFrame, next_interest: DataFrame, own: ProfilesSettings, seed: int) -> DataFrame:
    """Pairs of users who did anything in the window, with the share each category got; thinned to max_rows by user and day; settled."""
    active = rows.select(*KEY).join(next_interest.select(*KEY).distinct(), list(KEY), "left_semi")
    share = own.max_rows / max(1, active.count() * own.popular_categories)
    chosen = active.transform(thin, list(KEY), share, seed)  # by user alone it would keep those whom `history.recall` kept
    pairs = with_candidates(rows, "categories", own.popular_categories).join(chosen, list(KEY), "left_semi")  # popular among all, too
    labelled = pairs.join(next_interest, [*KEY, "name"], "left").withColumn("label", F.coalesce("next_interest", F.lit(0.0)))
    return labelled.repartition(own.partitions, "user_id").sortWithinPartitions(*KEY, "name").transform(settle)


def _figures(model: PipelineModel, judged: DataFrame, holdout: DataFrame) -> dict[str, float]:
    """Error of the shares against that of the past shares, variance explained, and how often the first category is bought next."""
    scored = settle(shares(model, judged).join(judged.select(*KEY, "name", "label", "interest", "popularity_bought"), [*KEY, "name"]))
    error, past = F.avg((F.col("share") - F.col("label")) ** 2), F.avg((F.col("interest") - F.col("label")) ** 2)
    row = scored.agg(error, past, F.var_pop("label"), F.count("*")).first()
    squared, baseline, variance, count = (float(value or 0.0) for value in row) if row is not None else (0.0,) * 4
    explained = 1 - squared / variance if variance else 0.0
    figures = {"holdout_rmse": squared**0.5, "baseline_rmse": baseline**0.5, "holdout_r2": explained, "holdout_rows": count}
    sampled = holdout.join(scored.select(*KEY).distinct(), list(KEY), "left_semi")
    return {**figures, **top_accuracy(scored, sampled, "next_category", "share")}
