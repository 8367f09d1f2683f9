"""Will the user buy within the horizon? Logistic regression on selected features, its penalty chosen by cross-validation.

Inputs are made in the pipeline itself (logs of counts, freshness 1 / (1 + days) in place of recency, shares, one-hot demographics), so the
stored model takes rows of user_features as they are. Features are selected by their ANOVA F statistic against the label, and measured in
their standard deviations, so that the penalty weighs on all alike.

It is MLlib's generalised linear model: reweighted least squares take some six passes over the rows. In them the penalty is relative to the
mean of p (1 - p), not to one per row.
"""

from typing import Any, cast

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import OneHotEncoder, SQLTransformer, StandardScaler, StringIndexer, UnivariateFeatureSelector, VectorAssembler
from pyspark.ml.regression import GeneralizedLinearRegression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.features import DAYPARTS, DEMOGRAPHICS, WINDOWS
from promoloop.frames import settle
from promoloop.profiles.trained import (
    Params,
    Trained,
    best_of,
    binary_figures,
    calibration,
    class_counts,
    constant,
    exact_auc,
    fold,
    has_every_fold,
    importances,
    positive_probability,
    search,
    vector_names,
)
from promoloop.settings.learning import ProfilesSettings

NAME = "buy_probability"
_SELECTED = 32
_FEWEST = 20  # of either class: with fewer there is a base rate, not a model

_LOGS = (
    *(f"count_{what}_{days}d" for what in ("views", "carts", "orders", "visits") for days in WINDOWS),
    *(f"spend_{days}d" for days in WINDOWS),
    *("count_active_days_30d", "count_units", "count_offer_views", "count_redeems", "count_reviews", "count_categories", "count_brands"),
    *("mean_basket_value", "tenure_days", "observed_days"),
)
_RECENCIES = tuple(f"days_since_{what}" for what in ("visit", "cart", "order", "redeem", "offer_view"))
_PLAIN = (
    *("orders_per_visit", "carts_per_view", "orders_per_cart", "returned_share", "relative_price_viewed", "relative_price_bought"),
    *("promoted_order_share", "conceded_share", "redeem_rate", "weekend_share", "top_category_share", "category_entropy"),
    *("top_brand_share", "brand_entropy", *(f"{part}_share" for part in DAYPARTS)),
)
_OVERDUE = "LEAST(COALESCE(TRY_DIVIDE(days_since_order, days_between_orders), 0D), 5D) AS overdue"


def train(rows: DataFrame, holdout: DataFrame, latest: DataFrame, own: ProfilesSettings, seed: int) -> Trained:
    """Choose by cross-validation on `rows`, judge on `holdout`, fit anew on `latest`: frames of user features with `label`.

    Where fewer than twenty users of `rows` or of `latest` bought, or did not, or a fold has nobody, the model is the base rate, and says so
    in its parameters.
    """
    if any(min(class_counts(few)) < _FEWEST for few in (rows, latest)):
        return _constant(holdout, latest, own)
    prepared = Pipeline(stages=_inputs()).fit(rows)
    folded = prepared.transform(rows).select("features", "label", fold(F.col("user_id"), own.folds, seed).alias("fold"))
    folded = settle(folded)
    if not has_every_fold(folded, own.folds):
        return _constant(holdout, latest, own)
    searched = search(_regression(), "regParam", own.buying_penalties, exact_auc("p"), own, seed).fit(folded)
    penalty, cv_auc = best_of(own.buying_penalties, searched)
    judged = probabilities(PipelineModel([*prepared.stages, searched.bestModel]), holdout).select("label", "p").transform(settle)
    recency = F.coalesce(1 / (1 + F.col("days_since_order")), F.lit(0.0)) + F.coalesce(1 / (1 + F.col("days_since_visit")), F.lit(0.0))
    recent = binary_figures(holdout.withColumn("p", recency / 2))
    figures = {**binary_figures(judged), "baseline_auc": recent["holdout_auc"], "cv_auc": cv_auc}
    table = calibration(judged)
    final = Pipeline(stages=[*_inputs(), _regression(penalty)]).fit(latest)
    card = {"calibration": table, "importances": _weights(final, latest), "baseline": "freshness of the last order and visit"}
    params: Params = {
        "kind": "logistic regression", "penalty": penalty, "horizon_days": own.horizon_days, "folds": own.folds,
        "selected_features": _SELECTED, "is_constant": False,
    }  # fmt: skip
    return Trained(NAME, final, figures, params, card)


def probabilities(model: PipelineModel, rows: DataFrame) -> DataFrame:
    """Rows with the probability of buying as `p`."""
    scored = model.transform(rows)  # a champion of before the generalised linear model says `probability`
    return scored if "p" in scored.columns else scored.withColumn("p", positive_probability())


def _inputs() -> list[Any]:
    made = [f"LN(1 + GREATEST(COALESCE({name}, 0), 0)) AS _log_{name}" for name in _LOGS]
    made += [f"COALESCE(1D / (1 + {name}), 0D) AS _fresh_{name}" for name in _RECENCIES]
    made += [f"COALESCE({name}, 0D) AS _plain_{name}" for name in _PLAIN]
    made += [f"COALESCE({name}, 'unknown') AS _text_{name}" for name in DEMOGRAPHICS]
    numbers = [*(f"_log_{n}" for n in _LOGS), *(f"_fresh_{n}" for n in _RECENCIES), *(f"_plain_{n}" for n in _PLAIN), "overdue"]
    indexed, hot = [f"_index_{name}" for name in DEMOGRAPHICS], [f"is_{name}" for name in DEMOGRAPHICS]
    selector = UnivariateFeatureSelector(featuresCol="_scaled", outputCol="features", labelCol="label", selectionMode="numTopFeatures")
    return [
        SQLTransformer(statement=f"SELECT *, {', '.join(made)}, {_OVERDUE} FROM __THIS__"),
        StringIndexer(
            inputCols=[f"_text_{n}" for n in DEMOGRAPHICS], outputCols=indexed, handleInvalid="keep", stringOrderType="alphabetAsc"
        ),
        OneHotEncoder(inputCols=indexed, outputCols=hot),
        VectorAssembler(inputCols=[*numbers, *hot], outputCol="_all"),
        StandardScaler(inputCol="_all", outputCol="_scaled"),
        selector.setFeatureType("continuous").setLabelType("categorical").setSelectionThreshold(_SELECTED),
    ]


def _regression(penalty: float = 0.0) -> GeneralizedLinearRegression:
    return GeneralizedLinearRegression(family="binomial", link="logit", regParam=penalty, predictionCol="p", tol=1e-4)


def _weights(model: PipelineModel, rows: DataFrame) -> list[dict[str, object]]:
    """Coefficients per standard deviation of their feature, the largest first."""
    assembled = PipelineModel(model.stages[:-3]).transform(rows.limit(1))
    names = vector_names(assembled, "_all")
    selector, regression = cast(Any, model.stages[-2]), cast(Any, model.stages[-1])
    chosen = [names[slot].strip("_") for slot in selector.selectedFeatures]
    return importances(chosen, [float(weight) for weight in regression.coefficients.toArray()])


def _constant(holdout: DataFrame, latest: DataFrame, own: ProfilesSettings) -> Trained:
    """The base rate for everyone, with one buyer and one other user added so that it is never 0 or 1."""
    found = latest.agg(F.sum("label"), F.count("*")).first()
    rate = ((found[0] if found and found[0] else 0.0) + 1) / ((found[1] if found else 0) + 2)
    model = constant(f"CAST({rate!r} AS DOUBLE) AS p")
    judged = probabilities(model, holdout)
    params: Params = {"kind": "base rate", "is_constant": True, "rate": rate, "horizon_days": own.horizon_days}
    return Trained(NAME, model, binary_figures(judged), params, {"calibration": calibration(judged), "importances": []})
