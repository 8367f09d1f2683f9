"""What promotions could be: each one at several depths, thresholds and windows, scored for a sample of users by the response model.

    form             depth d                          threshold t
    discount         discount_rate = d                t mean orders; 0: none
    flash_sale       discount_rate = d                none
    spend_threshold  discount_amount = d * threshold  t mean orders; nothing where t is 0
    gift             threshold = gift_unit_cost / d   as the depth has it

A window begins when the promotion does (on the day planned for, where it is open already) and lasts the days given, within the
horizon. Scope, stock, gift and target segment stay as they are. A variant that the rules of its form call faulty is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop.offers import arms, context, eligibility, forms, response
from promoloop.offers.log import Shop
from promoloop.settings.learning import OffersSettings

TERMS = ("form", "threshold", "discount_rate", "discount_amount", "gift_unit_cost", "valid_from_at", "valid_until_at")
_CENT = Decimal("0.01")
_AMOUNTS = ("expected_profit", "expected_revenue", "expected_cost", "satisfaction", "profit_deviation")
_MONEY = T.DecimalType(18, 2)
_SCHEMA = T.StructType(
    [
        T.StructField("variant", T.IntegerType(), False),
        T.StructField("promotion_id", T.StringType(), False),
        T.StructField("form", T.StringType(), False),
        T.StructField("threshold", _MONEY),
        T.StructField("discount_rate", T.DoubleType()),
        T.StructField("discount_amount", _MONEY),
        T.StructField("gift_unit_cost", _MONEY),
        T.StructField("valid_from_at", T.TimestampType(), False),
        T.StructField("valid_until_at", T.TimestampType(), False),
    ]
)


@dataclass(frozen=True)
class Levels:
    """What may be varied: depths (shares of an order), thresholds (mean orders; 0: none), windows (days)."""

    depths: tuple[float, ...]
    thresholds: tuple[float, ...]
    days: tuple[int, ...]


@dataclass(frozen=True)
class Variant:
    """Terms a promotion could have (columns TERMS), and the places of the levels they come from; none: as it is today."""

    promotion_id: str
    levels: tuple[int, int, int] | None
    terms: Mapping[str, Any]


def menu(spark: SparkSession, promotions: Sequence[Mapping[str, Any]], levels: Levels, mean_order: float, end: date) -> list[Variant]:
    """Every sound variant of `promotions` (rows of eligibility.open_promotions), and each as it is; windows end by the day `end`."""
    last = datetime(end.year, end.month, end.day, tzinfo=UTC)
    drafts = [draft for promotion in promotions for draft in _drafts(promotion, levels, mean_order, last)]
    columns = [F.lit(None).cast(kind).alias(name) for name, kind in (("budget", "double"), ("inventory", "bigint"))]
    judged = rows(spark, drafts).select("*", *columns, F.col("valid_from_at").alias("starts_at"), F.col("valid_until_at").alias("ends_at"))
    sound = {row["variant"] for row in judged.where(F.size(forms.faults()) == 0).select("variant").collect()}
    return [draft for number, draft in enumerate(drafts) if number in sound]


def _drafts(promotion: Mapping[str, Any], levels: Levels, mean_order: float, last: datetime) -> Iterator[Variant]:
    name, now = promotion["promotion_id"], {term: promotion[term] for term in TERMS}
    start = promotion["valid_from_at"].astimezone(UTC)  # Spark hands out moments in the zone of this process
    now |= {"valid_from_at": start, "valid_until_at": promotion["valid_until_at"].astimezone(UTC)}
    yield Variant(name, None, now)
    has_threshold = promotion["form"] in ("discount", "spend_threshold")
    for d, depth in enumerate(levels.depths):
        for t, level in enumerate(levels.thresholds if has_threshold else (0.0,)):
            for w, days in enumerate(levels.days):
                window = {"valid_from_at": start, "valid_until_at": min(start + timedelta(days=days), last)}
                yield Variant(name, (d, t, w), now | _terms(promotion, depth, _money(level * mean_order)) | window)


def _terms(promotion: Mapping[str, Any], depth: float, threshold: Decimal) -> dict[str, Any]:
    form = promotion["form"]
    if form == "gift":
        return {"threshold": _money(float(promotion["gift_unit_cost"]) / depth)}
    if form == "spend_threshold":
        return {"threshold": threshold, "discount_amount": _money(depth * float(threshold))}
    return {"threshold": threshold if form == "discount" and threshold > 0 else None, "discount_rate": depth}


def _money(amount: float) -> Decimal:
    return Decimal(amount).quantize(_CENT)


def rows(spark: SparkSession, variants: Sequence[Variant]) -> DataFrame:
    """One row per variant: its number (place in `variants`), promotion_id and TERMS."""
    listed = [(number, one.promotion_id, *(one.terms[term] for term in TERMS)) for number, one in enumerate(variants)]
    return spark.createDataFrame(listed, _SCHEMA)


def drawn(users: DataFrame, run_id: str, share: float) -> DataFrame:
    """A `share` of the users, hashed from their ids: the same in every run of the day."""
    return users.where(arms.draw("design", run_id, F.col("user_id")) < F.lit(share))


def mean_order(shop: Shop) -> float:
    """The shop's mean order, money."""
    found = context.norms(shop.log, shop.users).first()
    assert found is not None  # an aggregate without groups has one row
    return float(found["norm_order"])


def scored(
    variants: DataFrame,
    promotions: DataFrame,
    asked: DataFrame,
    learned: response.Response,
    shop: Shop,
    segments: DataFrame,
    as_of: date,
    settings: OffersSettings,
) -> DataFrame:
    """One row per user of `asked` who may get the promotion, and variant: user_id, promotion_id, variant, amounts of offer_scores, kinds.

    `promotions`: the open ones the variants are of. What does not depend on terms is worked out once per promotion.
    """
    nobody = asked.sparkSession.createDataFrame([], "user_id string, promotion_id string")
    pairs = eligibility.pairs(asked, promotions, segments, nobody)
    apart = response.describe_scopes(pairs, promotions, asked, as_of, shop, settings.history_days).drop(*TERMS)
    varied = response.add_terms(apart.join(F.broadcast(variants), "promotion_id"), shop.users)
    amounts = (F.round(name, 6).alias(name) for name in _AMOUNTS)
    return response.score(varied, learned, settings).select("user_id", "promotion_id", "variant", *amounts, "segment", "region", "channel")
