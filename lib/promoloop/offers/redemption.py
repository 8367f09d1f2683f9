"""How likely an offer is redeemed if sent, and what the redeeming order is worth.

logit p(u, p) = logit(prior of the form) + x(u, p) b,      b ~ N(0, s^2)
order(u, p)   = order_value(u, p) * (ratio(form) + c log(breadth(p) + 0.02)), never below the promotion's threshold
                ratio ~ N(1, 0.3^2),  c ~ N(0, 0.2^2),  breadth: the scope's share of the shop's items
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.offers import bayes, forms
from promoloop.offers.describing import FEATURES
from promoloop.settings.plan import Form

_RATIO_PRIOR = bayes.Prior(1.0, 0.3)
_RATIO_NOISE = 0.7  # standard deviation of an order over what was expected of it; only weighs the prior against the rows
_MOST_RATIO = 10.0


@dataclass(frozen=True)
class Redemption:
    """Fits over FEATURES less their means in training: what did not vary there must not stand in for the intercept."""

    fits: bayes.Fits
    means: Mapping[str, float]

    @property
    def rows(self) -> int:
        """Offers sent that it was learned from."""
        return self.fits.all.rows

    def probability(self) -> Column:
        """P(redeemed | sent) of a row with FEATURES."""
        return self._probability(self.fits.all)

    def crossed(self) -> Column:
        """The same by the fit that did not see the row's user; rows have fold."""
        return self.fits.cross(self._probability)

    def _probability(self, fit: bayes.Posterior) -> Column:
        return 1 / (1 + F.exp(-fit.predict(_centred(self.means))))


def learn(sent: DataFrame, prior: Mapping[Form, float], deviation: float) -> Redemption:
    """Learn from offers sent: one row each with FEATURES, form, is_redeemed, fold. Without rows: the prior probability by form."""
    varying = [name for name in FEATURES if name != "f_one" and not name.startswith("f_is_")]
    found = sent.agg(*(F.avg(name).alias(name) for name in varying)).first()
    assert found is not None  # an aggregate without groups has one row
    means = {name: float(f"{found[name] or 0.0:.6e}") for name in varying}
    priors = {name: bayes.Prior(0.0, deviation) for name in FEATURES} | {"f_one": bayes.Prior(0.0, 2 * deviation)}
    for form in forms.FORMS:
        priors[f"f_is_{form}"] = bayes.Prior(math.log(prior[form] / (1 - prior[form])), deviation)
    return Redemption(bayes.logistic(sent, _centred(means), F.col("is_redeemed").cast("double"), priors), means)


@dataclass(frozen=True)
class Order:
    """What redeeming orders are worth over their `order_value`: in all, and in scope."""

    whole: bayes.Posterior
    in_scope: bayes.Posterior

    def value(self) -> Column:
        """Expected worth of a redeeming order, money."""
        return _worth(self.whole)

    def value_in_scope(self) -> Column:
        """What of it is in the promotion's scope, money."""
        return F.least(_worth(self.in_scope), F.greatest(_worth(self.whole), _threshold()))


def learn_order(sent: DataFrame) -> Order:
    """Learn from redeemed offers; rows as for `learn`, with the outcomes."""
    redeemed = sent.where("is_redeemed")
    rated = redeemed.where(F.col("form").isin("discount", "flash_sale"))
    return Order(_ratio(redeemed, F.col("redeemed_spend")), _ratio(rated, F.col("own_concession") / F.col("discount_rate")))


def _ratio(redeemed: DataFrame, spent: Column) -> bayes.Posterior:
    ratio = F.least(spent / F.col("order_value"), F.lit(_MOST_RATIO))
    priors = dict.fromkeys(_shape(), _RATIO_PRIOR) | {"breadth": bayes.Prior(0.0, 0.2)}
    return bayes.linear(redeemed.where(spent > 0), _shape(), ratio, F.lit(_RATIO_NOISE**-2), priors).all


def _worth(ratio: bayes.Posterior) -> Column:
    return F.greatest(F.col("order_value") * F.greatest(ratio.predict(_shape()), F.lit(0.1)), _threshold())


def _threshold() -> Column:
    return F.coalesce(F.col("threshold").cast("double"), F.lit(0.0))


def _shape() -> dict[str, Column]:
    return {**{f"f_is_{form}": F.col(f"f_is_{form}") for form in forms.FORMS}, "breadth": F.log(F.col("breadth") + 0.02)}


def _centred(means: Mapping[str, float]) -> dict[str, Column]:
    return {name: F.col(name) - F.lit(means.get(name, 0.0)) for name in FEATURES}
