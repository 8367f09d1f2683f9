"""What the log shows of the visits: sessions, views, carts, and around the orders purchases, redemptions, reviews."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from promoloop.simulator import baskets as choice
from promoloop.simulator.draws import Floats, Ints, geometrics, normals, poissons, uniforms
from promoloop.simulator.law import CART, OFFER_REDEEM, OFFER_VIEW, PURCHASE, REVIEW, VIEW, VISITS
from promoloop.simulator.orders import Orders, Sent
from promoloop.simulator.world import Block

SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND


@dataclass(frozen=True)
class Log:
    """Events as arrays of one length; -1 where a field does not apply."""

    type: Ints
    row: Ints
    session: Ints  # number of the session within the user and day, times 100000, plus the day
    line: Ints  # position in the session or order
    item: Ints
    sent: Ints  # message
    order: Ints  # day of the order
    at: Ints  # microseconds since 1970-01-01 UTC
    quantity: Ints
    rating: Ints
    wording: Ints
    channel: Ints  # 0 web, 1 app, 2 the message's own

    @classmethod
    def of(cls, count: int, **given: Ints | int) -> "Log":
        """`count` events, -1 where not given."""
        return cls(**{field.name: np.broadcast_to(np.asarray(given.get(field.name, -1)), (count,)) for field in fields(cls)})

    @classmethod
    def joined(cls, parts: Sequence["Log"]) -> "Log":
        """One log of several, ordered by user and time."""
        whole = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        order = np.lexsort((whole["item"], whole["type"], whole["at"], whole["row"]))
        return cls(**{name: values[order] for name, values in whole.items()})


def record(block: Block, days: Sequence[int], orders: Orders, sent: Sent) -> Log:
    """The log of `days`, those that `orders` were played on; reviews may lie after them."""
    visits = _visits(block, days, orders)
    return Log.joined([*visits, *_orders(block, orders, sent), *_messages(block, orders, sent)])


def _start(block: Block, row: Ints, day: Ints, number: Ints) -> Ints:
    """Start of a session: one of two daily peaks, at most 22:45."""
    seed, traits, user = block.world.seed, block.traits, block.users[row]
    peak = (uniforms(seed, "peak", user, day, number) < traits.evening[row]).astype(np.int64)
    hour = traits.hour[row, peak] + 2.2 * normals(seed, "hour", user, day, number)
    hour = np.clip(np.where(hour > 22.75, hour - 12.0, hour), 0.0, 22.75)
    return day * DAY + np.floor(hour * 3600 * SECOND).astype(np.int64)


def _visits(block: Block, days: Sequence[int], orders: Orders) -> list[Log]:
    """Views and abandoned carts of browsing sessions (numbered from 1) and of buying ones (number 0)."""
    seed, law, users = block.world.seed, block.world.law, block.users
    day_numbers = np.asarray(days, dtype=np.int64)
    counts = poissons(orders.browsing, uniforms(seed, "sessions", users[:, None], day_numbers[None, :]))
    row, column = np.nonzero(counts)
    times = counts[row, column]
    last = np.cumsum(times)
    number = np.arange(last[-1] if len(last) else 0) - np.repeat(last - times, times) + 1
    row = np.concatenate([np.repeat(row, times), orders.row])
    day = np.concatenate([np.repeat(day_numbers[column], times), orders.day])
    number = np.concatenate([number, np.zeros(len(orders.row), dtype=np.int64)])
    views = np.minimum(1 + geometrics(law.views_per_session, uniforms(seed, "views", users[row], day, number)), law.views_most)
    start = _start(block, row, day, number)
    last = np.cumsum(views)
    slot = np.arange(last[-1] if len(last) else 0) - np.repeat(last - views, views)
    row, day, number, start = (np.repeat(values, views) for values in (row, day, number, start))
    keys = (users[row], day, number, slot)
    mode = uniforms(seed, "serious", *keys)
    is_serious = mode < law.serious_share
    point = uniforms(seed, "viewed", *keys)
    item = np.empty(len(row), dtype=np.int64)
    item[is_serious] = choice.pick(block.tastes.buying, row[is_serious], point[is_serious])
    item[~is_serious] = choice.pick(block.tastes.browsing, row[~is_serious], point[~is_serious])
    at = start + slot * 35 * SECOND + np.floor(uniforms(seed, "pause", *keys) * 30 * SECOND).astype(np.int64)
    session, channel = number * 100_000 + day, _visit_channel(block, row, day, number)
    viewed = Log.of(len(row), type=VIEW, row=row, session=session, line=slot, item=item, at=at, channel=channel)
    carted = np.flatnonzero(mode < law.serious_share * law.cart_share)
    carts = Log.of(
        len(carted),
        type=CART,
        row=row[carted],
        session=session[carted],
        line=slot[carted],
        item=item[carted],
        at=at[carted] + 4 * SECOND,
        quantity=1,
        channel=channel[carted],
    )
    return [viewed, carts]


def _orders(block: Block, orders: Orders, sent: Sent) -> list[Log]:
    """Carts, purchases, redemptions and reviews of the orders; they end the buying session."""
    world, traits = block.world, block.traits
    basket = block.basket(orders.row, world.season(orders.day), orders.candidate)
    quantity = basket.quantity.copy()
    index = np.arange(len(orders.row))
    quantity[index, orders.extra_line] += orders.extra
    order, line = np.nonzero(quantity)
    row, day = orders.row[order], orders.day[order]
    user, item = block.users[row], basket.item[order, line]
    zero = np.zeros(len(index), dtype=np.int64)
    paid = _start(block, orders.row, orders.day, zero) + 40 * 60 * SECOND
    shared: dict[str, Ints] = {
        "row": row,
        "session": day,
        "line": line + 1000,
        "item": item,
        "order": day,
        "quantity": quantity[order, line],
        "channel": _visit_channel(block, row, day, zero[order]),
    }
    carts = Log.of(len(order), **{**shared, "order": zero[order] - 1}, type=CART, at=paid[order] - (150 - 20 * line) * SECOND)
    purchases = Log.of(len(order), **shared, type=PURCHASE, at=paid[order], sent=orders.sent[order])
    used = np.flatnonzero(orders.sent >= 0)
    redeemed = Log.of(
        len(used),
        type=OFFER_REDEEM,
        row=orders.row[used],
        session=orders.day[used],
        order=orders.day[used],
        at=paid[used] + SECOND,
        sent=orders.sent[used],
        channel=2,
    )
    keys = (user, day, line)
    writes = uniforms(world.seed, "review", *keys) < traits.review[row]
    rating = satisfaction(block, row, item, normals(world.seed, "rating", *keys))
    delay = (1 + uniforms(world.seed, "review delay", *keys) * (world.law.review_hours - 1)) * 3600
    wording = np.floor(uniforms(world.seed, "wording", *keys) * 4).astype(np.int64)
    reviews = Log.of(
        int(writes.sum()),
        type=REVIEW,
        row=row[writes],
        line=line[writes],
        item=item[writes],
        order=day[writes],
        at=(paid[order] + np.floor(delay).astype(np.int64) * SECOND)[writes],
        rating=rating[writes],
        wording=wording[writes],
        channel=0,
    )
    return [carts, purchases, redeemed, reviews]


def satisfaction(block: Block, row: Ints, item: Ints, noise: Floats) -> Ints:
    """Stars, 1 to 5: quality, fit of the brand, value for money, generosity, noise."""
    goods, traits = block.world.catalogue, block.traits
    fit = traits.brand_affinity[row, goods.brand[item]] - traits.brand_affinity[row].mean(axis=1)
    value = -traits.elasticity[row] * goods.log_relative_price[item]
    felt = 3.7 + 0.55 * goods.quality[item] + 0.25 * fit + 0.3 * value + traits.generosity[row] + 0.7 * noise
    return np.asarray(np.clip(np.round(felt), 1, 5), dtype=np.int64)


def _messages(block: Block, orders: Orders, sent: Sent) -> list[Log]:
    """Noticed messages, on the day they arrive and before any session of that day can redeem them."""
    seen = np.flatnonzero(orders.noticed)
    minutes = uniforms(block.world.seed, "seen", block.users[sent.row[seen]], sent.key[seen])
    at = sent.first[seen] * DAY + np.floor(minutes * 3600 * SECOND).astype(np.int64)
    return [Log.of(len(seen), type=OFFER_VIEW, row=sent.row[seen], at=at, sent=seen, channel=2)]


def _visit_channel(block: Block, row: Ints, day: Ints, number: Ints) -> Ints:
    """Users who can be reached by push mostly use the app."""
    share = np.where(block.known.has_channel[:, 0] > 0, 0.6, 0.1)[row]
    drawn = uniforms(block.world.seed, "visit channel", block.users[row], day, number) < share
    return np.asarray(drawn.astype(np.int64) * VISITS.index("app"))
