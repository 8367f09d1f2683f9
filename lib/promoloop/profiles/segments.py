"""Marketing segments by rule: recency, frequency and price sensitivity, in the words of the shop.

    new             never seen, or seen for the first time (or joined) within profiles.new_days
    lapsing         known, but not seen for profiles.lapsing_days
    bargain_hunter  has bought, and is among the most price-sensitive (profiles.bargain_from)
    loyal           buys as often as the most frequent share of buyers (profiles.loyal_share)
    occasional      everyone else

The first rule that fits decides. The one learned number is the count of orders in 90 days from which a buyer is loyal.
"""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.profiles.trained import Params, Trained
from promoloop.settings.learning import ProfilesSettings

NAME = "segments"
SEGMENTS = ("loyal", "bargain_hunter", "lapsing", "new", "occasional")
_FEWEST_ORDERS = 2


def train(latest: DataFrame, own: ProfilesSettings) -> Trained:
    """Learn from user features how many orders in 90 days make a buyer loyal: two at least."""
    row = latest.where("count_orders_90d > 0").agg(F.percentile("count_orders_90d", 1 - own.loyal_share), F.count("*")).first()
    orders = max(float(_FEWEST_ORDERS), float(row[0]) if row is not None and row[0] is not None else 0.0)
    params: Params = {
        "kind": "rules", "new_days": own.new_days, "lapsing_days": own.lapsing_days, "bargain_from": own.bargain_from,
        "loyal_share": own.loyal_share,
    }  # fmt: skip
    figures = {"loyal_orders_90d": orders, "buyers": float(row[1]) if row is not None else 0.0}
    return Trained(NAME, {"loyal_orders_90d": orders}, figures, params)


def segment(document: Mapping[str, Any], own: ProfilesSettings) -> Column:
    """The segment of a row of user features with price_sensitivity."""
    seen, joined = F.col("days_since_first_event"), F.col("tenure_days")
    is_new = seen.isNull() | (F.greatest(seen, F.coalesce(joined, seen)) <= own.new_days)
    last = F.least(*(F.coalesce(f"days_since_{what}", F.lit(9999)) for what in ("visit", "order")))
    has_bought = F.col("count_units") > 0
    return (
        F.when(is_new, "new")
        .when(last > own.lapsing_days, "lapsing")
        .when(has_bought & (F.col("price_sensitivity") >= own.bargain_from), "bargain_hunter")
        .when(F.col("count_orders_90d") >= document["loyal_orders_90d"], "loyal")
        .otherwise("occasional")
    )
