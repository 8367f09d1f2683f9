"""The shop's exports as DataFrames: users, items, promotions, past offers, and the clean log. One block of users per input row."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from promoloop.simulator import browsing, orders, past
from promoloop.simulator.browsing import Log
from promoloop.simulator.draws import Floats
from promoloop.simulator.law import CART, EVENT_TYPES, PURCHASE
from promoloop.simulator.orders import Orders, Sent, State
from promoloop.simulator.promotions import Promotion
from promoloop.simulator.world import Block, World

USERS_PER_FILE = 20_000

LOG_SCHEMA = (
    "event_type string, user_number bigint, session_number bigint, line int, item_number int, promotion string, offer string, "
    "order_day int, at timestamp, quantity int, price double, concession double, rating int, wording int, channel string"
)
_CHANNELS = pa.array(["web", "app"])


@dataclass(frozen=True)
class Played:
    """A block after some days: its orders, and what was sent to it."""

    block: Block
    orders: Orders
    sent: Sent
    offer_ids: list[str]
    channels: list[str]
    promotions: tuple[Promotion, ...]


@dataclass(frozen=True)
class Chapter:
    """Some days of a shop: the history, played from the first day, or a continuation from a known state."""

    world: World
    first: int
    until: int
    promotions: tuple[Promotion, ...]  # those that messages may be about

    @property
    def days(self) -> range:
        """Days played."""
        return range(self.first, self.until)

    def play(self, row: dict[str, Any]) -> Played:
        """Play the block that `row` (of `history_blocks` or `ledger.blocks`) describes."""
        block = self.world.block(row["block"])
        if row.get("people") is None:
            return _play_history(self, block)
        return _play_on(self, block, row["people"])


def history(world: World) -> Chapter:
    """The days before the first plan, with the past campaigns."""
    return Chapter(world, world.opening, world.as_of, past.promotions(world))


def continuation(world: World, first: int, promotions: tuple[Promotion, ...]) -> Chapter:
    """The season that begins on day `first`, with the `promotions` that messages may be about."""
    return Chapter(world, first, first + world.season_days, promotions)


def history_blocks(spark: SparkSession, world: World) -> DataFrame:
    """One row per block of users: `block`, in as many partitions as files are wanted."""
    return spark.range(0, world.blocks, 1, files(world)).withColumnRenamed("id", "block")


def files(world: World) -> int:
    """How many files a batch of the log has: by the size of the shop, never by that of the cluster."""
    return max(min(4, world.blocks), world.users // USERS_PER_FILE)


def log(chapter: Chapter, blocks: DataFrame, shown_from: int | None = None) -> DataFrame:
    """The clean log, one row per event; only events of days from `shown_from` on, if given."""
    prices = chapter.world.catalogue.price

    def record(row: dict[str, Any]) -> pa.RecordBatch:
        played = chapter.play(row)
        shown = range(max(shown_from or chapter.first, chapter.first), chapter.until)
        return _to_arrow(played, browsing.record(played.block, shown, since(played.orders, shown.start), played.sent), prices)

    return blocks.mapInArrow(per_block(record), LOG_SCHEMA)


def since(played: Orders, day: int) -> Orders:
    """The part of `played` from `day` on; messages noticed before are left out by their day."""
    keep = played.day >= day
    columns = {name: getattr(played, name)[keep] for name in ("row", "day", "candidate", "sent", "extra", "extra_line", "concession")}
    skipped = max(day - played.first, 0)
    return Orders(
        **columns, noticed=played.noticed, browsing=played.browsing[:, skipped:], state=played.state, first=max(day, played.first)
    )


def per_block(work: Callable[[dict[str, Any]], pa.RecordBatch]) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Lift a function of one block row to mapInArrow."""

    def each(batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            for row in batch.to_pylist():
                yield work(row)

    return each


def _play_history(chapter: Chapter, block: Block) -> Played:
    assignment = past.assign(block)
    sent = past.sent(block, assignment)
    names = past.offer_ids(block.world.seed, block.users[sent.row], sent.key)
    channels = [past.channel(block, row) for row in sent.row]
    played = orders.play(block, chapter.days, orders.first_state(block), sent, chapter.promotions)
    return Played(block, played, sent, names, channels, chapter.promotions)


def _play_on(chapter: Chapter, block: Block, people: list[dict[str, Any]]) -> Played:
    people = sorted(people, key=lambda person: person["user_number"])
    block = Block(block.world, np.array([p["user_number"] for p in people], dtype=np.int64))  # without those who were forgotten
    state = State(np.array([p["since_order_days"] for p in people]), np.array([p["message_load"] for p in people]))
    index = {promotion.promotion_id: place for place, promotion in enumerate(chapter.promotions)}
    offers = []
    for row, person in enumerate(people):
        for offer in person["offers"] or ():
            place = index.get(offer["promotion_id"])
            if place is not None:  # else it cannot be redeemed in this season
                promotion = chapter.promotions[place]
                first, until = max(offer["first"], promotion.starts), min(offer["until"], promotion.ends, chapter.until)
                offers.append((first, offer["offer_id"], row, place, until, offer["channel"]))
    offers.sort()
    rows, places, firsts, untils = (np.array([offer[place] for offer in offers], dtype=np.int64) for place in (2, 3, 0, 4))
    sent = Sent(rows, places, firsts, untils, firsts * 1000 + places)
    played = orders.play(block, chapter.days, state, sent, chapter.promotions)
    return Played(block, played, sent, [offer[1] for offer in offers], [offer[5] for offer in offers], chapter.promotions)


def _to_arrow(played: Played, log: Log, prices: Floats) -> pa.RecordBatch:
    block = played.block
    is_priced = (log.type == CART) | (log.type == PURCHASE)
    has_message = log.sent >= 0
    order_of = {(row, day): value for row, day, value in zip(played.orders.row, played.orders.day, played.orders.concession, strict=True)}
    is_redeemed = log.type == EVENT_TYPES.index("offer_redeem")
    conceded = np.zeros(len(log.type))
    conceded[is_redeemed] = [order_of[key] for key in zip(log.row[is_redeemed], log.order[is_redeemed], strict=True)]
    message = pa.array(log.sent, mask=~has_message)
    promotion_ids = pa.array([played.promotions[place].promotion_id for place in played.sent.promotion], type=pa.string())
    channel_index = pa.array(np.where(log.channel == 2, 2 + log.sent, log.channel))
    columns = {
        "event_type": pa.array(EVENT_TYPES).take(pa.array(log.type)),
        "user_number": pa.array(block.users[log.row]),
        "session_number": pa.array(log.session, mask=log.session < 0),
        "line": pa.array(log.line.astype(np.int32)),
        "item_number": pa.array(log.item.astype(np.int32), mask=log.item < 0),
        "promotion": promotion_ids.take(message),
        "offer": pa.array(played.offer_ids, type=pa.string()).take(message),
        "order_day": pa.array(log.order.astype(np.int32), mask=log.order < 0),
        "at": pa.array(log.at, type=pa.timestamp("us", tz="UTC")),
        "quantity": pa.array(log.quantity.astype(np.int32), mask=log.quantity < 0),
        "price": pa.array(prices[log.item], mask=~is_priced),
        "concession": pa.array(conceded, mask=~is_redeemed),
        "rating": pa.array(log.rating.astype(np.int32), mask=log.rating < 0),
        "wording": pa.array(log.wording.astype(np.int32), mask=log.wording < 0),
        "channel": pa.concat_arrays([_CHANNELS, pa.array(played.channels, type=pa.string())]).take(channel_index),
    }
    return pa.RecordBatch.from_pydict(columns)
