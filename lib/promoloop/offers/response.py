"""The response model: what an offer is expected to earn and to cost, for every eligible user and promotion.

expected_cost    = p(redeem) * concession of the expected order             offers/redemption.py, offers/forms.py
expected_profit  = effect on margin - expected_cost                         offers/effect.py
expected_revenue = effect on revenue (list prices)
satisfaction     = p(redeem) * scope_share, in [0, 1]: wanted, and about what the user looks at anyway
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.frames import settle
from promoloop.offers import bayes, context, decisions, describing, effect, eligibility, forms, outcomes, redemption
from promoloop.offers.log import Shop
from promoloop.settings.learning import OffersSettings

NAME = "offer_response"


@dataclass(frozen=True)
class Response:
    """What was learned, and from how much."""

    redeems: redemption.Redemption
    redeemed: int
    orders: redemption.Order
    margin: bayes.Posterior
    revenue: bayes.Posterior

    @property
    def evidence(self) -> str:
        """What the effects rest on: randomised, observational (offers without known propensities) or prior (no offers at all)."""
        if self.margin.rows:
            return "randomised"
        return "observational" if self.redeems.rows else "prior"

    @property
    def document(self) -> dict[str, Any]:
        """What was learned, part by part: coefficients by name, their standard deviations, and the rows they were learned from."""
        parts = {
            "redemption": self.redeems.fits.all,
            **{"order": self.orders.whole, "order_in_scope": self.orders.in_scope},
            **{"margin": self.margin, "revenue": self.revenue},
        }
        return {name: part.document() for name, part in parts.items()} | {"means": dict(self.redeems.means)}

    @property
    def figures(self) -> dict[str, float | int | str]:
        """For the summary: the evidence, how much of it, and the incremental share of a redeemed order by form."""
        shares = {form: round(self.margin["share"] + self.margin[f"share_{form}"], 4) for form in forms.FORMS}
        return {
            "effects_rest_on": self.evidence,
            "offers_sent": self.redeems.rows,
            "offers_redeemed": self.redeemed,
            "randomised_decisions": self.margin.rows,
            **{f"incremental_share_{form}": share for form, share in shares.items()},
        }


def describe_decisions(offers: DataFrame, shop: Shop, days: int, log_days: decisions.Days | None) -> DataFrame:
    """One row per decision of `offers` within `log_days`, with its assignment (settled, so this runs), FEATURES, outcomes and fold.

    Decisions about an unsound promotion are left out: without a rate it would seem to concede nothing, or all.
    """
    sound = shop.promotions.where(F.size(forms.faults()) == 0)
    promotions = context.per_promotion(sound, shop.items).drop("starts_at", "ends_at")
    assigned = (
        decisions.add_assignment(offers, decisions.is_covered(log_days))
        .transform(settle)  # contexts and outcomes are joined to it from six sides
        .withColumn("at", F.col("valid_from_at"))
        .withColumn("fold", F.pmod(F.xxhash64("user_id"), F.lit(2)))
        .join(F.broadcast(promotions), "promotion_id")
    )
    moments = assigned.select("user_id", "at", "promotion_id").distinct()
    return add_terms(_in_context(outcomes.per_offer(assigned, shop.log), moments, shop.promotions, shop, days), shop.users)


def describe_pairs(pairs: DataFrame, promotions: DataFrame, as_of: date, shop: Shop, days: int) -> DataFrame:
    """`pairs` of eligibility.pairs over the open `promotions`, with the FEATURES as of the day."""
    return add_terms(describe_scopes(pairs, promotions, shop.users, as_of, shop, days), shop.users)


def describe_scopes(pairs: DataFrame, promotions: DataFrame, asked: DataFrame, as_of: date, shop: Shop, days: int) -> DataFrame:
    """`pairs` with what does not depend on a promotion's terms: the users `asked` about, their past, their taste for its scope."""
    scope = context.per_promotion(promotions, shop.items).select("promotion_id", "breadth", "scope_price")
    dated = pairs.withColumn("at", eligibility.midnight(as_of)).join(F.broadcast(scope), "promotion_id")
    moments = asked.select("user_id", eligibility.midnight(as_of).alias("at"))
    return _in_context(dated, moments, promotions, shop, days)


def add_terms(described: DataFrame, users: DataFrame) -> DataFrame:
    """`describe_scopes` rows with the FEATURES: what the terms (form, threshold, depth, window) mean to the user. Same rows."""
    return describing.add_features(described, users).transform(effect.add_usual_margin)


def learn(described: DataFrame, settings: OffersSettings) -> Response:
    """Learn the response from `describe_decisions`: redemption from all offers sent, effects from randomised decisions alone."""
    kept = settle(described)
    sent, randomised = kept.where("is_sent"), kept.where("is_randomised")
    orders = redemption.learn_order(sent)
    redeems = redemption.learn(sent, settings.prior_redemption, settings.prior_redemption_deviation)
    prepared = _with_order(randomised.withColumn("p_redeem", redeems.crossed()), orders)
    counts = sent.agg(F.sum(F.col("is_redeemed").cast("int"))).first()
    return Response(
        redeems=redeems,
        redeemed=int(counts[0] or 0) if counts is not None else 0,
        orders=orders,
        margin=effect.learn(prepared, "margin", F.col("norm_margin_rate"), effect.priors(settings)),
        revenue=effect.learn(prepared, "revenue", F.lit(1.0), effect.priors(settings)),
    )


def score(described: DataFrame, response: Response, settings: OffersSettings) -> DataFrame:
    """`described` pairs and p_redeem, expected_cost, expected_profit, expected_revenue, satisfaction, profit_deviation (money).

    profit_deviation adds what is not known of the coefficients to what users scatter by around their expectation.
    """
    prepared = _with_order(described.withColumn("p_redeem", response.redeems.probability()), response.orders)
    rate = F.col("norm_margin_rate")
    margin, revenue = effect.design(rate), effect.design(F.lit(1.0))
    cost = F.col("p_redeem") * forms.concession(F.col("order_in_scope"))
    scatter = effect.unexplained(rate, settings.prior_share_deviation)
    return prepared.withColumns({
        "expected_cost": cost,
        "expected_profit": response.margin.predict(margin) - cost,
        "expected_revenue": response.revenue.predict(revenue),
        "satisfaction": F.col("p_redeem") * F.col("scope_share"),
        "profit_deviation": F.sqrt(F.pow(response.margin.deviation(margin), F.lit(2.0)) + scatter * scatter),
    })  # fmt: skip


def _with_order(pairs: DataFrame, orders: redemption.Order) -> DataFrame:
    """`pairs` with the expected redeeming order, and `depth` now measured on it."""
    valued = pairs.withColumn("order", orders.value()).withColumn("order_in_scope", orders.value_in_scope())
    return valued.withColumn("depth", F.least(forms.concession(F.col("order_in_scope")) / F.col("order"), F.lit(1.0)))


def _in_context(pairs: DataFrame, moments: DataFrame, promotions: DataFrame, shop: Shop, days: int) -> DataFrame:
    behaviour = context.per_user(moments, shop.log, days)
    seen = context.per_pair(pairs, moments, behaviour, shop.log, context.scopes(promotions, shop.items), days)
    return seen.crossJoin(F.broadcast(context.norms(shop.log, shop.users)))
