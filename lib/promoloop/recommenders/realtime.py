"""Lists that follow what users do, within the micro-batch: touched users are folded in anew and ranked again; nobody else's list moves.

A touched user's factors come in closed form from the whole history, old and new (`folding`), so a take that is repeated after a kill
gives the same lists, and a missed one is made good by the next. Items keep the factors of the last training. What users did before
the day of the lists is summed up once (`Past`): a take reads the events since alone, however long the history. An event of an earlier
day that arrives after that counts from the next start of a process that follows on. Lists that others wrote know nothing of the day
itself: they are made good by all of its events, taken or not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import pyarrow.compute as pc
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from promoloop.recommenders import catalogue, interactions, serving
from promoloop.recommenders.catalogue import Catalogue
from promoloop.recommenders.ranker import Ranker
from promoloop.recommenders.training import Shop
from promoloop.settings.learning import RecommendersSettings


def touched(arrived: DataFrame, as_of: date) -> DataFrame:
    """One row per user (user_id) with an event of `arrived` on an item on `as_of` or later: what the day's lists do not know yet."""
    is_new = (F.col("occurred_on") >= F.lit(as_of)) & F.col("item_id").isNotNull() & F.col("user_id").isNotNull()
    return arrived.where(is_new).select("user_id").distinct()


def is_news(arrived: DataFrame, as_of: date) -> bool:
    """Whether anything in `arrived` occurred on `as_of` or later."""
    return not arrived.where(F.col("occurred_on") >= F.lit(as_of)).isEmpty()


@dataclass(frozen=True)
class Past:
    """What users did before `as_of`: rows of `interactions.sums` of that day."""

    as_of: date
    sums: DataFrame


def refresh(
    touched: DataFrame,
    past: Past,
    events: DataFrame,
    items: DataFrame,
    goods: Catalogue,
    judge: Ranker,
    settings: RecommendersSettings,
    seed: int,
    are_few: bool = True,
) -> DataFrame:
    """Lists (`serving.SCHEMA_OF_EVERY_RANK`) of the `touched` users (rows of users) from their `past` and their `events` since,
    with the stock `items` has now. A shorter list must not keep the end of the longer one it replaces: so every rank has a row.

    Strengths are those of the day after the user's own last event, so a list is the same whatever take an event came with, and late ones
    hide none. Items that came after `goods` was made wait for the next `goods`. `are_few`: so that every task may hold them all.
    """
    names = touched.select("user_id")
    known = F.broadcast(names) if are_few else names
    before = past.sums.join(known, "user_id", "left_semi")
    recent = events.where(F.col("occurred_on") >= F.lit(past.as_of)).join(known, "user_id", "left_semi")
    since = interactions.sums_of_all(recent, past.as_of, settings)
    strengths = interactions.added(before, since).transform(interactions.followed, settings).transform(interactions.settled)
    histories = interactions.histories(strengths, catalogue.indexes_of(goods, items.sparkSession), settings)
    whom = serving.with_histories(touched, histories, settings.popularity_by)
    return serving.recommend(whom, with_stock(goods, items), judge, settings, seed, has_every_rank=True)


@dataclass(frozen=True)
class Follower:
    """What a take needs beside the events: it stays as it is while the stream runs."""

    past: Past
    goods: Catalogue
    judge: Ranker
    settings: RecommendersSettings
    seed: int

    @contextmanager
    def lists(self, arrived: DataFrame, shop: Shop, are_few: bool = True) -> Iterator[DataFrame | None]:
        """Yield the lists (`refresh`) of the users `arrived` tells something new of, from the `shop` as it is now; None: of nobody.

        Where `arrived` is all that happened since the day of the lists, these are not `are_few`: the driver never holds them.
        """
        if not is_news(arrived, self.past.as_of):
            yield None
            return
        names = touched(arrived, self.past.as_of)
        whom = shop.users.join(F.broadcast(names) if are_few else names, "user_id", "left_semi").cache()
        try:
            yield refresh(whom, self.past, shop.events, shop.items, self.goods, self.judge, self.settings, self.seed, are_few)
        finally:
            whom.unpersist()


def nobodies(shop: Shop, as_of: date, count: int) -> Shop:
    """A shop to rehearse with: what `count` of the users did, put to the day `as_of`, under names that are nobody's."""
    number = F.row_number().over(Window.orderBy("user_id"))
    few = shop.users.orderBy("user_id").limit(count)
    names = F.broadcast(few.select("user_id", F.format_string("nobody-%d", number).alias("_name")))
    users, events = (rows.join(names, "user_id").withColumn("user_id", F.col("_name")).select(*rows.columns) for rows in (few, shop.events))
    return Shop(events.withColumn("occurred_on", F.lit(as_of)), users, shop.items)


def with_stock(goods: Catalogue, items: DataFrame) -> Catalogue:
    """The catalogue with the stock of `items`; an item that is not there any more is not available."""
    stocked = items.where(F.coalesce(F.col("stock") > 0, F.lit(True))).select("item_id").toArrow()["item_id"]
    is_available = pc.is_in(goods.item_ids, value_set=stocked.combine_chunks()).to_numpy(zero_copy_only=False)
    return replace(goods, is_available=is_available)
