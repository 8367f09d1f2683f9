"""The whole of training: item side as of a day, ranker learned on the days before as_of and judged on the last of them."""

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.recommenders import catalogue, content, cooccurrence, factors, interactions, learning, model, ranker, serving
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
    """The model and how its rankers did on the holdout (NDCG@10 by name)."""

    model: Model
    figures: dict[str, float]


def train(shop: Shop, as_of: date, settings: RecommendersSettings, seed: int, blocks: int) -> Trained:
    """Learn from what happened before `as_of`.

    Two horizons back the item side is learned and candidates are made; the horizon that follows labels them. One horizon back, with the
    histories of that day, the rankers are judged on the last horizon; the best serves. Then the item side is learned from everything.
    """
    vectors = content.per_item(shop.items, settings.content_width).cache()
    first, last = (as_of - timedelta(days=horizons * settings.horizon_days) for horizons in (2, 1))
    before_first = interactions.per_user_item(shop.events, first, settings).cache()
    before_last = interactions.per_user_item(shop.events, last, settings).cache()
    earlier = item_side(shop.items, before_first, settings, seed, blocks, ranker.UNTRAINED)
    users, goods = serving_side(shop, before_first, vectors, earlier, settings)
    examples = learning.examples(_with_taken(users, shop, first, settings, seed), goods, settings, seed).cache()
    rankers: dict[str, Ranker] = {"untrained": ranker.UNTRAINED}
    if learning.is_enough(examples):
        rankers["linear"] = learning.linear(examples)
        rankers["neural"] = learning.neural(examples, settings, seed)
    users, goods = serving_side(shop, before_last, vectors, earlier, settings)
    figures = learning.judge(_with_taken(users, shop, last, settings, seed), goods, rankers, settings)
    best = max(rankers, key=lambda name: (figures[f"ndcg_{name}"], name))
    everything = interactions.per_user_item(shop.events, as_of, settings).cache()
    final = item_side(shop.items, everything, settings, seed, blocks, rankers[best])
    for cached in (vectors, before_first, before_last, examples, everything):
        cached.unpersist()
    return Trained(final, figures)


def item_side(items: DataFrame, strengths: DataFrame, settings: RecommendersSettings, seed: int, blocks: int, judge: Ranker) -> Model:
    """Factors and neighbours of items from `strengths` (of `interactions.per_user_item`), with the ranker `judge`."""
    indexes = catalogue.indexes(items).cache()
    histories = interactions.histories(strengths, indexes, settings).cache()
    item_factors = factors.train(strengths, indexes, settings, seed, blocks)
    neighbours = cooccurrence.per_item(histories, indexes.count(), settings.neighbours)
    learned = model.collect(item_factors, neighbours, indexes, settings, judge.to_document())
    for cached in (histories, indexes):
        cached.unpersist()
    return learned


def serving_side(
    shop: Shop, strengths: DataFrame, vectors: DataFrame, learned: Model, settings: RecommendersSettings
) -> tuple[DataFrame, Catalogue]:
    """Users with their histories and the catalogue, as of the day of `strengths`, which is read three times. The stock is today's."""
    popularity = catalogue.popularity(strengths, shop.users, settings.popularity_by)
    goods = catalogue.collect(shop.items, vectors, popularity, catalogue.repeats(strengths), learned, settings.content_width)
    histories = interactions.histories(strengths, catalogue.indexes(shop.items), settings)
    return serving.with_histories(shop.users, histories, settings.popularity_by), goods


def _with_taken(users: DataFrame, shop: Shop, day: date, settings: RecommendersSettings, seed: int) -> DataFrame:
    """A seeded sample of the users who bought something within the horizon from `day`, with `taken`: the items' indexes."""
    is_next = (F.col("occurred_on") >= F.lit(day)) & (F.col("occurred_on") < F.lit(day + timedelta(days=settings.horizon_days)))
    bought = shop.events.where((F.col("event_type") == "purchase") & is_next & (F.coalesce("quantity", F.lit(1)) > 0))
    indexed = bought.join(F.broadcast(catalogue.indexes(shop.items)), "item_id")
    taken = indexed.groupBy("user_id").agg(F.sort_array(F.collect_set("item_index")).alias("taken"))
    chosen = taken.select("user_id").orderBy(F.xxhash64("user_id", F.lit(seed)), "user_id").limit(settings.ranker_users)
    return users.join(taken, "user_id").join(F.broadcast(chosen), "user_id")
