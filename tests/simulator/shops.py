"""Small worlds, and what their users did, for tests without Spark."""

from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from promoloop.simulator import browsing, orders, past
from promoloop.simulator.browsing import Log
from promoloop.simulator.law import LAW
from promoloop.simulator.orders import Orders, Sent
from promoloop.simulator.world import Block, World, number

AS_OF = number(date(2026, 3, 2))


def world(users: int = 1000, items: int = 400, days: int = 42, **law: Any) -> World:
    """A world of 12 promotions and seasons of 14 days."""
    return World(7, users, items, 12, AS_OF - days, days, 14, replace(LAW, **law))


@lru_cache(maxsize=4)
def lived(shop: World) -> tuple[tuple[Block, Orders, Sent, Log], ...]:
    """The history of every block: users, orders, messages and log."""
    found = []
    for index in range(shop.blocks):
        block = shop.block(index)
        sent = past.sent(block, past.assign(block))
        days = range(shop.opening, shop.as_of)
        played = orders.play(block, days, orders.first_state(block), sent, past.promotions(shop))
        found.append((block, played, sent, browsing.record(block, days, played, sent)))
    return tuple(found)


def profit(block: Block, played: Orders) -> np.ndarray:
    """Profit of each user: margin of what was bought less what was conceded."""
    goods = block.world.catalogue
    basket = block.basket(played.row, block.world.season(played.day), played.candidate)
    quantity = basket.quantity.copy()
    quantity[np.arange(len(played.row)), played.extra_line] += played.extra
    margin = (quantity * (goods.price - goods.unit_cost)[basket.item]).sum(axis=-1) - played.concession
    return np.bincount(played.row, weights=margin, minlength=len(block.users))
