"""Which brand is bought next? A random forest over (user, brand) pairs, normalised over the user's candidates.

The forest tells how likely a pair is the next purchase; with odds o[u,b] = p / (1 - p) the brand's probability is o[u,b] over the sum of
the odds of u's candidates. Thinning the pairs that were not bought multiplies all odds by one constant, which the normalisation takes out
again. So one forest serves five brands or five thousand, and a brand seen for the first time today.
"""

import math
from typing import Any, cast

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import RandomForestClassifier
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from promoloop.frames import settle
from promoloop.profiles.pairs import FEATURES, KEY, with_candidates
from promoloop.profiles.trained import (
    Params,
    Trained,
    best_of,
    constant,
    exact_auc,
    fold,
    has_every_fold,
    importances,
    positive_probability,
    search,
    thin,
    top_accuracy,
)
from promoloop.settings.learning import ProfilesSettings

NAME = "brand_preference"
_TREES = 20
_FEWEST = 20
_POPULAR = "popularity / (1 + popularity) AS p"  # the odds of this are the popularity
_UNSEEN = 1e-4  # probability granted to a brand that was no candidate


def train(rows: DataFrame, holdout: DataFrame, latest: DataFrame, own: ProfilesSettings, seed: int) -> Trained:
    """Choose by cross-validation on `rows`, judge on `holdout`, fit anew on `latest`: frames of user features with next_brand.

    Where fewer than twenty users of `rows` or of `latest` bought anything of a known brand, or a fold has nobody, a brand's popularity is
    its probability for everyone.
    """
    buyers = holdout.where(F.col("next_brand").isNotNull()).select(*KEY)
    judged = with_candidates(holdout, "brands", own.popular_brands).join(buyers, list(KEY))  # popular among all, not among buyers
    if any(few.where(F.col("next_brand").isNotNull()).limit(_FEWEST).count() < _FEWEST for few in (rows, latest)):
        return _constant(judged, holdout)
    pairs = _labelled(rows, own, seed).withColumn("fold", fold(F.col("user_id"), own.folds, seed)).transform(settle)
    if not has_every_fold(pairs, own.folds):
        return _constant(judged, holdout)
    vectors = VectorAssembler(inputCols=list(FEATURES), outputCol="features")
    forest = RandomForestClassifier(numTrees=_TREES, seed=seed, labelCol="label", featureSubsetStrategy="onethird")
    searched = search(forest, "maxDepth", own.forest_depths, exact_auc("rawPrediction"), own, seed).fit(vectors.transform(pairs))
    depth, cv_auc = best_of(own.forest_depths, searched)
    figures = {
        **_figures(probabilities(PipelineModel([vectors, searched.bestModel]), judged), holdout),
        "cv_auc": cv_auc,
    }
    final = Pipeline(stages=[vectors, forest.copy({forest.maxDepth: depth})]).fit(_labelled(latest, own, seed))
    card = {
        "importances": importances(FEATURES, [float(weight) for weight in cast(Any, final.stages[-1]).featureImportances.toArray()]),
        "baseline": "the brand most bought by all; the brand of the user's own greatest interest",
    }
    params: Params = {
        "kind": "random forest", "trees": _TREES, "depth": depth, "horizon_days": own.horizon_days, "folds": own.folds,
        "popular_brands": own.popular_brands,
    }  # fmt: skip
    return Trained(NAME, final, figures, params, card)


def probabilities(model: PipelineModel, pairs: DataFrame) -> DataFrame:
    """Pairs of KEY and name with the probability `p` that the user's next purchase is of that name; sums to 1 over a user's candidates."""
    scored = model.transform(pairs)
    raw = F.col("p") if "p" in scored.columns else positive_probability()
    bounded = F.least(F.greatest(raw, F.lit(1e-4)), F.lit(1 - 1e-4))
    odds = scored.withColumn("_odds", bounded / (1 - bounded))
    p = F.col("_odds") / F.sum("_odds").over(Window.partitionBy(*KEY))
    return odds.select(*KEY, "name", "interest", "popularity", "popularity_bought", p.alias("p"))


def _labelled(rows: DataFrame, own: ProfilesSettings, seed: int) -> DataFrame:
    """Pairs of buyers with their candidates: all that were bought next, and as many of the others as max_rows allows."""
    buyers = rows.where(F.col("next_brand").isNotNull())
    pairs = with_candidates(rows, "brands", own.popular_brands).join(buyers.select(*KEY, "next_brand"), list(KEY))
    labelled = pairs.withColumn("label", (F.col("name") == F.col("next_brand")).cast("double")).transform(settle)
    share = own.max_rows / max(1, labelled.count())
    others = labelled.where("label = 0").transform(thin, ["user_id", "as_of_on", "name"], share, seed)
    chosen = labelled.where("label = 1").unionByName(others)
    return chosen.repartition(own.partitions, "user_id").sortWithinPartitions(*KEY, "name")


def _constant(judged: DataFrame, holdout: DataFrame) -> Trained:
    popular = constant(_POPULAR)
    return Trained(NAME, popular, _figures(probabilities(popular, judged), holdout), {"kind": "popularity", "is_constant": True})


def _figures(probable: DataFrame, holdout: DataFrame) -> dict[str, float]:
    """Top-1 accuracy of the forest and of two baselines, and the mean log loss of the brand that was bought."""
    scored = settle(probable)
    bought = scored.join(holdout.select(*KEY, F.col("next_brand").alias("name")), [*KEY, "name"])
    row = bought.agg(F.sum(-F.log("p")), F.count("*")).first()
    figures = top_accuracy(scored, holdout, "next_brand", "p")
    missed = figures["holdout_buyers"] - float(row[1] if row is not None else 0)  # not even a candidate
    loss = (float(row[0] or 0.0) if row is not None else 0.0) - missed * math.log(_UNSEEN)
    return {**figures, "holdout_log_loss": loss / max(1.0, figures["holdout_buyers"])}
