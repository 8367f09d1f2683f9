"""Which promotion form does a user redeem? A small decision tree over (user, form), readable as rules.

Learned from offers that were seen: the users and forms were chosen by whoever sent them, so this says who redeems what, not what an offer
changes; the incremental question belongs to the response models of the room offers.
"""

import re
from typing import Any, cast

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import DecisionTreeClassifier
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.features import FORMS
from promoloop.frames import settle
from promoloop.profiles.pairs import KEY
from promoloop.profiles.trained import (
    Params,
    Trained,
    binary_figures,
    calibration,
    class_counts,
    constant,
    importances,
    positive_probability,
)
from promoloop.settings.learning import ProfilesSettings

NAME = "form_preference"
_FEWEST = 20
_OWN = ("form_redeem_rate", "count_redeems_form", "count_offer_views_form")
_USER = ("redeem_rate", "promoted_order_share", "relative_price_bought", "relative_price_viewed", "count_orders_90d", "count_visits_30d")
_FEATURES = (*(f"is_{form}" for form in FORMS), *_OWN, *_USER)


def train(rows: DataFrame, holdout: DataFrame, latest: DataFrame, exposures: DataFrame, own: ProfilesSettings, seed: int) -> Trained:
    """Fit on `rows`, judge on `holdout`, fit anew on `latest`; `exposures` holds what became of offers of each form.

    Where fewer than twenty offers of `rows` or of `latest` were redeemed, or left, one rate stands for every form: nobody prefers any.
    """
    labelled, final_labelled = (_labelled(of, exposures, own).transform(settle) for of in (rows, latest))
    left, redeemed = class_counts(labelled)
    if min(left, redeemed, *class_counts(final_labelled)) < _FEWEST:
        flat = constant(f"CAST({(redeemed + 1) / (redeemed + left + 2)!r} AS DOUBLE) AS p")
        judged = probabilities(flat, _labelled(holdout, exposures, own))
        return Trained(NAME, flat, binary_figures(judged), {"kind": "base rate", "is_constant": True})
    pipeline = Pipeline(stages=[_inputs(), VectorAssembler(inputCols=list(_FEATURES), outputCol="features"), _tree(seed)])
    judged = probabilities(pipeline.fit(labelled), _labelled(holdout, exposures, own)).select("label", "p").transform(settle)
    figures, table = binary_figures(judged), calibration(judged)
    final = pipeline.fit(final_labelled)
    tree = cast(Any, final.stages[-1])
    card = {
        "calibration": table,
        "importances": importances(_FEATURES, [float(weight) for weight in tree.featureImportances.toArray()]),
        "rules": re.sub(r"feature (\d+)", lambda slot: _FEATURES[int(slot.group(1))], tree.toDebugString),
        "baseline": "the share of offers redeemed, for everyone",
    }
    params: Params = {"kind": "decision tree", "depth": tree.depth, "horizon_days": own.horizon_days}
    return Trained(NAME, final, figures, params, card)


def with_forms(rows: DataFrame) -> DataFrame:
    """Each user's features once per promotion form."""
    return rows.withColumn("form", F.explode(F.array(*(F.lit(form) for form in FORMS))))


def probabilities(model: PipelineModel, pairs: DataFrame) -> DataFrame:
    """Rows of users and forms with the probability `p` that an offer of the form, once seen, is redeemed."""
    scored = model.transform(pairs)
    return scored if "p" in scored.columns else scored.withColumn("p", positive_probability())


def _tree(seed: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(maxDepth=4, minInstancesPerNode=20, seed=seed, labelCol="label")


def _inputs() -> SQLTransformer:
    def own(what: str) -> str:
        return f"CAST(CASE form {' '.join(f'WHEN {form!r} THEN count_{what}_{form}' for form in FORMS)} ELSE 0 END AS DOUBLE)"

    made = [f"CAST(form = {form!r} AS DOUBLE) AS is_{form}" for form in FORMS]
    made += [f"{own(what)} AS count_{what}_form" for what in ("redeems", "offer_views")]
    made += [f"({own('redeems')} + 0.1D) / ({own('offer_views')} + 1D) AS form_redeem_rate"]
    kept = [f"CAST(COALESCE({name}, 0) AS DOUBLE) AS {name}" for name in _USER]
    return SQLTransformer(statement=f"SELECT * EXCEPT ({', '.join(_USER)}), {', '.join([*made, *kept])} FROM __THIS__")


def _labelled(rows: DataFrame, exposures: DataFrame, own: ProfilesSettings) -> DataFrame:
    """Users' features once per form of which they saw an offer in the window; label 1 where they redeemed one."""
    pairs = rows.drop("label").join(exposures, list(KEY)).withColumn("label", F.col("is_redeemed"))
    return pairs.repartition(own.partitions, "user_id").sortWithinPartitions(*KEY, "form")
