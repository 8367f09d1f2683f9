"""The whole of training: item side as of a day, ranker learned on the days before as_of and judged on the last of them."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.errors import UserError
from promoloop.frames import both, settle, side_by_side
from promoloop.recommenders import (
    catalogue,
    content,
    cooccurrence,
    factors,
    holdout,
    interactions,
    learning,
    model,
    ranker,
    serving,
    trials,
)
from promoloop.recommenders.catalogue import Catalogue
from promoloop.recommenders.model import Model
from promoloop.recommenders.ranker import Ranker
from promoloop.settings.learning import RecommendersSettings


@dataclass(frozen=True)
class Shop:
    """What training and serving read."""

    events: DataFrame
    users: DataFrame
    items: DataFrame


@dataclass(frozen=True)
class Trained:
    """The model, the settings it was trained with, how parameters (on the earlier horizon) and rankers did (NDCG@10 by name), and what
    the lists of the best ranker were worth on the last horizon (`holdout.measured`).
    """

    model: Model
    settings: RecommendersSettings
    figures: dict[str, float]
    measured: list[dict[str, Any]]


def train(shop: Shop, as_of: date, settings: RecommendersSettings, seed: int, blocks: int) -> Trained:
    """Learn from what happened before `as_of`.

    Two horizons back the parameters of the factorisation are chosen by what they foresee of the horizon that follows (`trials`), the
    item side is learned and candidates are made; that horizon labels them. One horizon back, with the histories of that day, the
    rankers are judged on the last horizon; the best serves. The item side it serves with is learned from everything meanwhile.
    Raises UserError where nothing is known before those two horizons.
    """
    spark = shop.items.sparkSession
    vectors = settle(content.per_item(shop.items, settings.content_width))
    first, last = (as_of - timedelta(days=horizons * settings.horizon_days) for horizons in (2, 1))
    strengths = (interactions.per_user_item(shop.events, day, settings) for day in (first, last, as_of))
    before_first, before_last, everything = side_by_side(spark, *(partial(settle, rows) for rows in strengths))
    indexes = catalogue.indexes(shop.items)
    if before_first.join(F.broadcast(indexes), "item_id").isEmpty():
        need, horizon = 2 * settings.horizon_days, settings.horizon_days
        raise UserError(
            f"events hold nothing on known items more than {need} days before {as_of}, "
            f"which the recommender needs (recommenders.horizon_days is {horizon})"
        )
    settings, tried = trials.choose(before_first, _taken(shop, indexes, first, settings), indexes, settings, seed, blocks)
    final, (judge, figures, measured) = both(
        spark,
        partial(item_side, shop.items, everything, settings, seed, blocks),
        partial(_ranking, shop, vectors, before_first, before_last, (first, last), settings, seed, blocks),
    )
    return Trained(replace(final, ranker=judge.to_document()), settings, {**tried, **figures}, measured)


def _ranking(
    shop: Shop,
    vectors: DataFrame,
    before_first: DataFrame,
    before_last: DataFrame,
    days: tuple[date, date],
    settings: RecommendersSettings,
    seed: int,
    blocks: int,
) -> tuple[Ranker, dict[str, float], list[dict[str, Any]]]:
    """The ranker that foresaw most of the horizon from the second of `days`, how each did, and what its lists were worth there."""
    first, last = days
    earlier = item_side(shop.items, before_first, settings, seed, blocks)
    users, goods = serving_side(shop, before_first, vectors, earlier, settings)
    examples = settle(learning.examples(_with_taken(users, shop, first, settings, seed), goods, settings, seed))
    rankers: dict[str, Ranker] = {"untrained": ranker.UNTRAINED, "factors": ranker.FACTORS}
    if learning.is_enough(examples):
        linear, neural = partial(learning.linear, examples), partial(learning.neural, examples, settings, seed)
        rankers["linear"], rankers["neural"] = both(examples.sparkSession, linear, neural)
    users, goods = serving_side(shop, before_last, vectors, earlier, settings)
    judged = settle(_with_taken(users, shop, last, settings, seed))
    figures = learning.judge(judged, goods, rankers, settings)
    best = max(rankers, key=lambda name: (figures[f"ndcg_{name}"], name))
    return rankers[best], figures, holdout.measured(judged, goods, rankers[best], vectors, before_last, settings, seed)


def item_side(items: DataFrame, strengths: DataFrame, settings: RecommendersSettings, seed: int, blocks: int) -> Model:
    """Factors and neighbours of items from `strengths` (of `interactions.per_user_item`); its ranker is still untrained."""
    indexes = settle(catalogue.indexes(items))
    histories = settle(interactions.histories(strengths, indexes, settings))
    item_factors = factors.train(strengths, indexes, settings, seed, blocks)
    neighbours = cooccurrence.per_item(histories, indexes.count(), settings.neighbours)
    return model.collect(item_factors, neighbours, indexes, settings, ranker.UNTRAINED.to_document())


def serving_side(
    shop: Shop, strengths: DataFrame, vectors: DataFrame, learned: Model, settings: RecommendersSettings
) -> tuple[DataFrame, Catalogue]:
    """Users with their histories and the catalogue, as of the day of `strengths`, which is read three times. The stock is today's."""
    popularity = catalogue.popularity(strengths, shop.users, settings.popularity_by)
    goods = catalogue.collect(shop.items, vectors, popularity, catalogue.repeats(strengths), learned, settings.content_width)
    if len(goods) > settings.clusters_above:
        goods = catalogue.clustered(goods)
    histories = interactions.histories(strengths, catalogue.indexes(shop.items), settings)
    return serving.with_histories(shop.users, histories, settings.popularity_by), goods


def _with_taken(users: DataFrame, shop: Shop, day: date, settings: RecommendersSettings, seed: int) -> DataFrame:
    """A seeded sample of the users who bought something within the horizon from `day`, with `taken`."""
    taken = _taken(shop, catalogue.indexes(shop.items), day, settings)
    chosen = taken.select("user_id").orderBy(F.xxhash64("user_id", F.lit(seed)), "user_id").limit(settings.ranker_users)
    return users.join(taken, "user_id").join(F.broadcast(chosen), "user_id")


def _taken(shop: Shop, indexes: DataFrame, day: date, settings: RecommendersSettings) -> DataFrame:
    """One row per user who bought something within the horizon from `day`: `taken`, the indexes of the items."""
    is_next = (F.col("occurred_on") >= F.lit(day)) & (F.col("occurred_on") < F.lit(day + timedelta(days=settings.horizon_days)))
    bought = shop.events.where((F.col("event_type") == "purchase") & is_next & (F.coalesce("quantity", F.lit(1)) > 0))
    indexed = bought.join(F.broadcast(indexes), "item_id")
    return indexed.groupBy("user_id").agg(F.sort_array(F.collect_set("item_index")).alias("taken"))
