"""The truth as DataFrames: what users are like, what every offer is worth, and how well anyone could know it."""

from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from promoloop import privacy
from promoloop.simulator import expectation
from promoloop.simulator.draws import Floats
from promoloop.simulator.law import CATEGORIES, FORMS
from promoloop.simulator.raw import brand_id, user_id
from promoloop.simulator.shop import Chapter, per_block
from promoloop.simulator.world import Block, day_of

_SCALARS = {
    "price_elasticity": "elasticity",
    "sessions_per_day": "sessions",
    "order_rate": "order_rate",
    "patience_days": "patience",
    "repeat_share": "repeat",
    "notice_probability": "notice",
    "message_tolerance": "tolerance",
    "irritation": "irritation",
    "switching": "switching",
}
_VECTORS = {
    "category_affinity": "category_affinity",
    "brand_affinity": "brand_affinity",
    "proneness": "proneness",
    "weekday_rhythm": "weekday",
    "peak_hours": "hour",
}
_OUTLOOK = ("buy_probability", "expected_orders", "expected_margin")
_BINS = 10_000


def users(chapter: Chapter, blocks: DataFrame, key: privacy.Key) -> DataFrame:
    """Table truth_users as of the day after `chapter`: one row per user."""
    days = range(chapter.until, chapter.until + chapter.world.season_days)

    def told(row: dict[str, Any]) -> pa.RecordBatch:
        played = chapter.play(row)
        block, state = played.block, played.orders.state
        ahead, _ = expectation.baseline(block, days, state)
        line = next_line(block, days.start)
        goods = block.world.catalogue
        brands, categories = line @ np.eye(block.world.law.brands)[goods.brand], line @ np.eye(len(CATEGORIES))[goods.category]
        columns: dict[str, Any] = {"user_number": block.users, "since_order_days": state.since_order, "message_load": state.load}
        columns |= {name: getattr(block.traits, field) for name, field in _SCALARS.items()}
        columns |= dict(zip(_OUTLOOK, (ahead.p_order, ahead.orders, ahead.margin), strict=True))
        columns |= {"brand": np.argmax(brands, axis=1), "next_brand_probability": brands.max(axis=1)}
        columns |= {"category": np.argmax(categories, axis=1), "next_category_probability": categories.max(axis=1)}
        arrays = {name: pa.array(values) for name, values in columns.items()}
        arrays |= {name: pa.array(list(getattr(block.traits, field))) for name, field in _VECTORS.items()}
        return pa.RecordBatch.from_pydict(arrays)

    scalars = ["since_order_days", "message_load", *_SCALARS, *_OUTLOOK]
    schema = ", ".join(
        [
            "user_number bigint",
            *(f"{name} double" for name in scalars),
            "brand bigint, next_brand_probability double, category bigint, next_category_probability double",
            *(f"{name} array<double>" for name in _VECTORS),
        ]
    )
    categories, forms = _texts(CATEGORIES), _texts(FORMS)
    brands = F.transform(F.sequence(F.lit(0), F.lit(chapter.world.law.brands - 1)), brand_id)
    return blocks.mapInArrow(per_block(told), schema).select(
        privacy.pseudonymise(user_id(F.col("user_number")), key).alias("user_id"),
        _day(chapter.until).alias("as_of_on"),
        *scalars,
        F.map_from_arrays(categories, "category_affinity").alias("category_affinity"),
        F.map_from_arrays(brands, "brand_affinity").alias("brand_affinity"),
        F.map_from_arrays(forms, "proneness").alias("proneness"),
        "weekday_rhythm",
        "peak_hours",
        brand_id(F.col("brand")).alias("next_brand"),
        "next_brand_probability",
        F.element_at(categories, F.col("category").cast("int") + 1).alias("next_category"),
        "next_category_probability",
    )


def offers(chapter: Chapter, blocks: DataFrame, key: privacy.Key) -> DataFrame:
    """Table truth_offers as of the day after `chapter`: every consenting user and every promotion on offer from that day."""
    world = chapter.world
    days, promotions = range(chapter.until, chapter.until + world.season_days), world.active(chapter.until)
    names = pa.array([promotion.promotion_id for promotion in promotions])
    columns = ("p_redeem", "expected_cost", "expected_profit", "expected_orders")

    def told(row: dict[str, Any]) -> pa.RecordBatch:
        played = chapter.play(row)
        rows = np.flatnonzero(played.block.known.has_consent)
        truths = expectation.of_promotions(played.block, rows, days, played.orders.state, promotions)
        arrays = {
            "user_number": pa.array(np.tile(played.block.users[rows], len(promotions))),
            "promotion_id": names.take(pa.array(np.repeat(np.arange(len(promotions)), len(rows)))),
        }
        arrays |= {name: pa.array(np.concatenate([getattr(truth, name) for truth in truths])) for name in columns}
        return pa.RecordBatch.from_pydict(arrays)

    schema = "user_number bigint, promotion_id string, " + ", ".join(f"{name} double" for name in columns)
    return blocks.mapInArrow(per_block(told), schema).select(
        privacy.pseudonymise(user_id(F.col("user_number")), key).alias("user_id"),
        "promotion_id",
        _day(chapter.until).alias("as_of_on"),
        *columns,
    )


def next_line(block: Block, day: int) -> Floats:
    """Probability of each item to be the first line of a user's next order in the season of `day` (users x items)."""
    world, goods = block.world, block.world.catalogue
    fresh = np.diff(block.tastes.buying, axis=1, prepend=0.0)
    due = block.staples_due(day) * block.traits.repeat[:, None] / world.law.staples
    line = fresh * (1 - due.sum(axis=1, keepdims=True))
    np.add.at(line, (np.arange(len(block.users))[:, None], block.tastes.staples), due)
    assert line.shape[1] == goods.items
    return np.asarray(line)


def best_achievable(truth_users: DataFrame, truth_offers: DataFrame) -> DataFrame:
    """How well the best conceivable model can do, one row per `model`, `measure`, with `best`.

    Of one as_of date each (filter before). The labels are drawn from the true probabilities, so even these leave chance:
    AUC of buy_probability is Σ p_i (1 - p_j) [p_i > p_j] / (Σp Σ(1-p)), with ties for half; top-1 accuracy of brand and category is the
    mean probability of the most probable, weighted by the chance that the user buys. The oracle gives every user the promotion with
    the highest true profit, if positive, with no limit on budgets. Money is per user.
    """
    probability = F.col("buy_probability")
    bins = truth_users.groupBy(F.floor(probability * _BINS).alias("_bin")).agg(
        F.sum(probability).alias("_positive"), F.sum(1 - probability).alias("_negative")
    )
    below = Window.orderBy("_bin").rowsBetween(Window.unboundedPreceding, -1)  # at most _BINS rows
    ranked = bins.withColumn("_under", F.coalesce(F.sum("_negative").over(below), F.lit(0.0)) + F.col("_negative") / 2)
    auc = ranked.agg((F.sum(F.col("_positive") * F.col("_under")) / (F.sum("_positive") * F.sum("_negative"))).alias("best"))
    weighted = truth_users.agg(
        *[
            (F.sum(probability * F.col(f"next_{name}_probability")) / F.sum(probability)).alias(f"preferred_{name}")
            for name in ("brand", "category")
        ],
        F.avg(probability).alias("_rate"),
        F.avg("expected_margin").alias("_margin"),
    )
    best_offer = truth_offers.groupBy("user_id").agg(F.greatest(F.max("expected_profit"), F.lit(0.0)).alias("_gain"))
    oracle = best_offer.agg(F.avg("_gain").alias("best"), F.avg((F.col("_gain") > 0).cast("double")).alias("_share"))
    spread = truth_offers.agg(F.avg("expected_profit").alias("best"))
    parts = [
        _row(auc, "buy_probability", "auc", "best"),
        _row(weighted, "buy_probability", "base_rate", "_rate"),
        _row(weighted, "preferred_brand", "top1_accuracy", "preferred_brand"),
        _row(weighted, "preferred_category", "top1_accuracy", "preferred_category"),
        _row(weighted, "no_offers", "margin_per_user", "_margin"),
        _row(spread, "random_offers", "profit_per_user", "best"),
        _row(oracle, "oracle_offers", "profit_per_user", "best"),
        _row(oracle, "oracle_offers", "share_of_users_served", "_share"),
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.unionByName(part)
    return whole


def _row(figures: DataFrame, model: str, measure: str, column: str) -> DataFrame:
    return figures.select(F.lit(model).alias("model"), F.lit(measure).alias("measure"), F.col(column).alias("best"))


def _texts(names: tuple[str, ...]) -> Column:
    return F.array(*[F.lit(name) for name in names])


def _day(day: int) -> Column:
    return F.lit(day_of(day))
