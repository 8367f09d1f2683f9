"""How sensitive is a user to price? An index of 0 to 1 from three readable traits, weighted by what they foretell.

- tilt: how much cheaper the user buys than looks. Where a choice among things seen goes by exp(-b * log price), the mean log price of
  what is bought lies b times the variance below that of what is seen (exponential tilting of a normal), so b = (mean seen - mean bought)
  / variance. With few purchases b is drawn to the mean of all users (empirical Bayes; the prior weighs as one purchase).
- browsing: how far below the category's median price the user looks.
- promoted: the share of orders with an offer redeemed, drawn to everyone's share by two orders' weight.

A ridge regression of the price paid next (log over the category's median, sign turned) on the three, each over its standard deviation,
gives the weights; the index is the place of that sum among all users. Where too little was bought the weights are equal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.profiles.trained import Trained
from promoloop.settings.learning import ProfilesSettings

NAME = "price_sensitivity"
TRAITS = ("tilt", "browsing", "promoted")
_FEWEST = 50
_ORDERS = 2.0  # weight of everyone's promoted share
_PLACES = 50


def train(rows: DataFrame, holdout: DataFrame, latest: DataFrame, own: ProfilesSettings) -> Trained:
    """Weigh the traits on `rows`, judge on `holdout`, place on `latest`: user features with relative_price_next."""
    document = _fit(rows)
    judged = holdout.where(F.col("relative_price_next").isNotNull()).select(_sum(document).alias("s"), "relative_price_next")
    s, label = F.col("s"), -F.col("relative_price_next")
    # F.corr breaks where all are alike, as they are in a log without views and offers
    correlated = F.try_divide(F.covar_pop(s, label), F.stddev_pop(s) * F.stddev_pop(label))
    row = judged.agg(correlated, F.count("*")).first()
    correlation = float(row[0]) if row is not None and row[0] is not None else 0.0
    figures = {"holdout_correlation": correlation, "holdout_rows": float(row[1]) if row is not None else 0.0}
    final = _fit(latest)
    places = latest.agg(F.percentile(_sum(final), [n / _PLACES for n in range(1, _PLACES)])).first()
    final["places"] = list(places[0]) if places is not None and places[0] is not None else [0.0]
    weights = [{"feature": trait, "weight": round(weight, 6)} for trait, weight in zip(TRAITS, final["weights"], strict=True)]
    card = {"importances": weights, "baseline": "none: correlation with how far below the category's median price the user buys next"}
    return Trained(NAME, final, figures, {"kind": "ridge regression over traits", "horizon_days": own.horizon_days}, card)


def index(document: Mapping[str, Any]) -> Column:
    """The place of a row of user features among all users, 0 (least sensitive) to 1; ties share the middle of their places."""
    total, places = _sum(document), F.array(*(F.lit(float(place)) for place in document["places"]))
    below = F.size(F.filter(places, lambda place: place < total))
    beside = F.size(F.filter(places, lambda place: place == total))
    return (below + beside / 2) / F.lit(len(document["places"]))


def _fit(rows: DataFrame) -> dict[str, Any]:
    document = _priors(rows)
    traits = _traits(document)
    spread = rows.agg(
        *(F.avg(t).alias(f"m{n}") for n, t in enumerate(traits)), *(F.stddev_pop(t).alias(f"s{n}") for n, t in enumerate(traits))
    )
    row = spread.first()
    found = row.asDict() if row is not None else {}
    document["means"] = [float(found.get(f"m{n}") or 0.0) for n in range(len(TRAITS))]
    document["deviations"] = [float(found.get(f"s{n}") or 1.0) for n in range(len(TRAITS))]
    standard = _standard(document)
    bought = rows.where(F.col("relative_price_next").isNotNull())
    learned = bought.select(
        *(t.alias(name) for name, t in zip(TRAITS, standard, strict=True)), (-F.col("relative_price_next")).alias("label")
    )
    count = learned.limit(_FEWEST).count()
    document["weights"] = _regress(learned) if count == _FEWEST else [1.0] * len(TRAITS)
    return document


def _priors(rows: DataFrame) -> dict[str, Any]:
    """Means over all users, weighted by purchases and orders, that single users are drawn to."""
    n = F.col("count_bought_priced").cast("double")
    row = rows.agg(
        F.sum(n * (F.col("relative_price_viewed") - F.col("relative_price_bought"))),
        F.sum(F.when(F.col("relative_price_bought").isNotNull(), n * F.col("relative_price_variance"))),
        F.sum(F.col("promoted_order_share") * F.col("count_orders_90d")),
        F.sum(F.when(F.col("promoted_order_share").isNotNull(), F.col("count_orders_90d"))),
        F.avg("relative_price_viewed"),
        F.avg("relative_price_variance"),
    ).first()
    gap, spread, promoted, orders, viewed, variance = (float(value or 0.0) for value in row) if row is not None else (0.0,) * 6
    return {
        "tilt": gap / spread if spread else 0.0,
        "promoted": promoted / orders if orders else 0.0,
        "viewed": viewed,
        "variance": variance or 1.0,
    }


def _traits(document: Mapping[str, Any]) -> list[Column]:
    n, prior = F.coalesce(F.col("count_bought_priced"), F.lit(0)).cast("double"), F.lit(float(document["variance"]))
    gap = F.coalesce(n * (F.col("relative_price_viewed") - F.col("relative_price_bought")), F.lit(0.0))
    seen = F.when(gap != 0, n * F.col("relative_price_variance")).otherwise(F.lit(0.0))
    orders = F.when(F.col("promoted_order_share").isNotNull(), F.col("count_orders_90d")).otherwise(F.lit(0))
    promoted = F.coalesce(F.col("promoted_order_share"), F.lit(0.0)) * orders
    return [
        (gap + prior * document["tilt"]) / (seen + prior),
        -F.coalesce("relative_price_viewed", F.lit(float(document["viewed"]))),
        (promoted + _ORDERS * document["promoted"]) / (orders + _ORDERS),
    ]


def _standard(document: Mapping[str, Any]) -> list[Column]:
    scales: Sequence[tuple[float, float]] = list(zip(document["means"], document["deviations"], strict=True))
    return [(trait - mean) / (deviation or 1.0) for trait, (mean, deviation) in zip(_traits(document), scales, strict=True)]


def _sum(document: Mapping[str, Any]) -> Column:
    weighed = [trait * weight for trait, weight in zip(_standard(document), document["weights"], strict=True)]
    return F.round(sum(weighed[1:], weighed[0]), 9)  # equal users must stay equal


def _regress(learned: DataFrame) -> list[float]:
    vectors = VectorAssembler(inputCols=list(TRAITS), outputCol="features").transform(learned)
    fitted = LinearRegression(solver="normal", regParam=0.05, elasticNetParam=0.0).fit(vectors)
    return [round(float(weight), 9) for weight in fitted.coefficients.toArray()]
