"""What an offer changes: expected incremental margin and revenue of sending it, before its concession.

    effect(u, p) = gain * h(depth) * (share + share[form] + modifiers) + base * (reach + fatigue)
      gain = p(redeem) * expected order * margin rate      money that passes through redemptions
      base = usual margin of the user over the window      money that offers may move without being redeemed
      h = depth^2 / (depth^2 + 0.1^2), 1 at 0.15           an offer of no depth changes nothing, a deep one no more than a less deep one:
                                                           the S-shape of promotional response (Gupta and Cooper 1992)
      share        part of a redeemed order that would not have been bought otherwise; the rest is subsidy. By form, drawn together
      modifiers    of that share: how long since the last order, how many orders, taste for the scope, threshold over the usual order
      reach, fatigue   effect of the message itself, and of one more message after many

The coefficients b are learned by the R-learner (Nie and Wager 2021, Quasi-oracle estimation of heterogeneous treatment effects)

    minimise  sum_i w_i (Y_i - m(X_i) - (T_i - e_i) x_i b)^2  + |(b - prior) / deviation|^2

with known e (logged propensities) and m(X) = E[Y|X], p(redeem) from models that did not see the user (two folds, Chernozhukov et al.
2018). As the posterior of a Bayesian regression (offers/bayes.py) it starts at the prior, moves as randomised decisions come in, and
has a covariance: the standard error of every effect. Margin has compound-Poisson noise, so w = 1 / (dispersion * m).
"""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.offers import bayes, forms
from promoloop.offers.describing import FEATURES
from promoloop.settings.learning import OffersSettings

_MODIFIERS = ("f_order_recency", "f_orders", "f_share", "f_stretch")
_HALF_DEPTH, _USUAL_DEPTH = 0.1, 0.15
_BASE_DEVIATION = 0.05
_VAGUE = bayes.Prior(0.0, 10.0)
_NUISANCE = (*FEATURES, "usual_margin")


def design(margin_rate: Column) -> dict[str, Column]:
    """Regressors of the effect, money. Rows hold FEATURES, p_redeem, order, depth, usual_margin; a `margin_rate` of 1 gives revenue's."""
    gain = _gain(margin_rate)
    base = F.col("usual_margin") * margin_rate / F.col("norm_margin_rate")
    return {
        "share": gain,
        **{f"share_{form}": gain * F.col(f"f_is_{form}") for form in forms.FORMS},
        **{f"gain_{name}": gain * F.col(name) for name in _MODIFIERS},
        "reach": base,
        "fatigue": base * F.col("f_messages"),
    }


def unexplained(margin_rate: Column, deviation: float) -> Column:
    """What users' own effects scatter by around the expected one, money: `deviation` of the share of a redeemed order."""
    return _gain(margin_rate) * deviation


def _gain(margin_rate: Column) -> Column:
    squared = F.col("depth") * F.col("depth")
    shape = squared / (squared + _HALF_DEPTH**2) * ((_USUAL_DEPTH**2 + _HALF_DEPTH**2) / _USUAL_DEPTH**2)
    return F.col("p_redeem") * F.col("order") * margin_rate * shape


def priors(settings: OffersSettings) -> dict[str, bayes.Prior]:
    """Priors of the coefficients; what they mean is in the module's docstring."""
    return {
        "share": bayes.Prior(settings.prior_incremental_share, settings.prior_share_deviation),
        **{f"share_{form}": bayes.Prior(0.0, settings.prior_form_deviation) for form in forms.FORMS},
        **{f"gain_{name}": bayes.Prior(0.0, settings.prior_modifier_deviation) for name in _MODIFIERS},
        "reach": bayes.Prior(0.0, _BASE_DEVIATION),
        "fatigue": bayes.Prior(0.0, _BASE_DEVIATION),
    }


def add_usual_margin(pairs: DataFrame) -> DataFrame:
    """`pairs` and `usual_margin`: what the user would earn the shop over the offer's window, money, by the days known of them.

    Drawn towards the shop's mean with the weight of a hundred days of it.
    """
    window = (F.unix_timestamp("valid_until_at") - F.unix_timestamp("valid_from_at")) / 86400
    daily = (F.greatest("past_margin", F.lit(0.0)) + 100 * F.col("norm_daily_margin")) / (F.col("known_days") + 100)
    return pairs.withColumn("usual_margin", F.greatest(daily * window, F.lit(1e-6)))


def learn(decisions: DataFrame, outcome: str, margin_rate: Column, known: Mapping[str, bayes.Prior]) -> bayes.Posterior:
    """Posterior of the coefficients of `design(margin_rate)` for `outcome` (margin or revenue).

    `decisions` are randomised ones, one row each: is_sent, `e` (its probability), fold (0, 1) and what `design` needs, p_redeem
    cross-fitted. Without rows the posterior is the prior.
    """
    expected = bayes.linear(decisions, _nuisance(), F.col(outcome), F.lit(1.0), dict.fromkeys(_NUISANCE, _VAGUE))
    fitted = decisions.withColumn("expected", expected.cross(lambda fit: fit.predict(_nuisance())))
    residual = F.col(outcome) - F.col("expected")
    totals = fitted.agg(F.sum(residual * residual).alias("squares"), F.sum("expected").alias("expected")).first()
    assert totals is not None  # an aggregate without groups has one row
    total = max(float(totals["expected"] or 0.0), 1e-6)
    dispersion = float(f"{max(float(totals['squares'] or 0.0) / total, 1e-6):.6e}")
    least = float(f"{0.1 * total / max(expected.all.rows, 1):.6e}")
    surprise = F.col("is_sent").cast("double") - F.col("e")
    regressors = {name: surprise * value for name, value in design(margin_rate).items()}
    return bayes.linear(fitted, regressors, residual, 1 / (dispersion * F.greatest("expected", F.lit(least))), known).all


def _nuisance() -> dict[str, Column]:
    return {name: F.col(name) for name in _NUISANCE}
