"""From tables to offer scores: which past the model may learn from, which pairs it scores."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.offers import context, eligibility, response
from promoloop.offers.log import Shop
from promoloop.settings.learning import OffersSettings

_AMOUNTS = ("p_redeem", "expected_cost", "expected_profit", "expected_revenue", "satisfaction", "profit_deviation")


def train(offers: DataFrame, shop: Shop, as_of: date, settings: OffersSettings) -> response.Response:
    """Learn the response from `offers` (past campaigns' and our own, whole runs): those whose window the log covers, up to `as_of`."""
    first = context.first_day(shop.log)
    described = response.describe_decisions(offers, shop, settings.history_days, None if first is None else (first, as_of))
    return response.learn(described, settings)


def per_pair(
    learned: response.Response,
    offers: DataFrame,
    shop: Shop,
    segments: DataFrame,
    as_of: date,
    settings: OffersSettings,
    candidates: DataFrame | None = None,
) -> DataFrame:
    """One row per eligible (user, promotion): the columns of table offer_scores. `segments`: user_id, segment.

    `candidates` (user_id, promotion_id): the promotions worth valuing for each user; without any row, all promotions.
    """
    still_open = offers.where(F.col("is_sent") & (F.col("valid_until_at") > eligibility.midnight(as_of)))
    open_promotions = eligibility.open_promotions(shop.promotions, as_of, settings.horizon_days)
    few = None if candidates is None or candidates.isEmpty() else candidates
    pairs = eligibility.pairs(shop.users, open_promotions, segments, still_open, few)
    described = response.describe_pairs(pairs, open_promotions, as_of, shop, settings.history_days)
    return response.score(described, learned, settings).select(
        *("user_id", "promotion_id", F.lit(as_of).alias("as_of_on")),
        *(F.round(name, 6).alias(name) for name in _AMOUNTS),
        *("segment", "region", "channel"),
    )
