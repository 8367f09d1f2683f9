"""Who orders what, when: the daily law of orders, played out with draws. `expectation.py` takes its mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promoloop.simulator.baskets import Flags
from promoloop.simulator.draws import Floats, Ints, uniforms
from promoloop.simulator.promotions import Promotion
from promoloop.simulator.response import Response, respond
from promoloop.simulator.world import Block


@dataclass(frozen=True)
class State:
    """What the future depends on beside the traits, at the beginning of a day."""

    since_order: Floats  # days since the last order
    load: Floats  # messages received, each forgotten at rate 1 / load_days


@dataclass(frozen=True)
class Sent:
    """Messages sent to users of a block, all arrays of one length."""

    row: Ints  # index of the user in the block
    promotion: Ints  # index into the promotions they are about
    first: Ints  # first day it can be redeemed; the message arrives that day
    until: Ints  # day from which it can no longer be redeemed
    key: Ints  # tells the draws of one message from those of another

    @classmethod
    def none(cls) -> "Sent":
        """No messages."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(empty, empty, empty, empty, empty)


@dataclass(frozen=True)
class Orders:
    """What the users of a block did over some days."""

    row: Ints
    day: Ints
    candidate: Ints
    sent: Ints  # index of the message the order redeems, -1: none
    extra: Ints  # units added to a line to reach a threshold
    extra_line: Ints
    concession: Floats  # money given up on the order
    noticed: Flags  # per message
    browsing: Floats  # users x days: mean browsing sessions
    state: State  # after the last day
    first: int  # first day


def readiness(since_order: Floats, patience: Floats) -> Floats:
    """Share of the order rate after `since_order` days without one: 1 - exp(-(t / patience)^2)."""
    return np.asarray(1 - np.exp(-((since_order / patience) ** 2)))


def fatigue(load: Floats, tolerance: Floats, irritation: Floats) -> Floats:
    """Factor on visits and orders of a user whose message load is above what they bear."""
    return np.asarray(np.exp(-irritation * np.maximum(load - tolerance, 0.0)))


def noticing(notice: Floats, load: Floats, decay: float) -> Floats:
    """Chance that a message is noticed by a user who bears `load` before it."""
    return np.asarray(notice * np.exp(-decay * load))


def first_state(block: Block) -> State:
    """State on the shop's first day: nobody was messaged, orders lie at random in the past."""
    since = 1 + 3 * block.traits.patience * uniforms(block.world.seed, "first state", block.users)
    return State(since, np.zeros(len(block.users)))


def responses(block: Block, sent: Sent, promotions: Sequence[Promotion]) -> Response:
    """Response to every message, candidate baskets of the season it becomes valid in."""
    traits, catalogue, law = block.traits, block.world.catalogue, block.world.law
    options = block.candidates(sent.row, block.world.season(sent.first))
    parts: list[tuple[Ints, Response]] = []
    for index in np.unique(sent.promotion):
        these = np.flatnonzero(sent.promotion == index)
        row = sent.row[these]
        chosen = type(options)(options.item[these], options.quantity[these])
        part = respond(chosen, promotions[int(index)], traits.elasticity[row], traits.proneness[row], traits.switching[row], catalogue, law)
        parts.append((these, part))
    places = np.concatenate([these for these, _ in parts])
    back = np.argsort(places)
    names = ("weight", "redeems", "extra", "extra_line", "concession", "margin")
    return Response(**{name: np.concatenate([getattr(part, name) for _, part in parts])[back] for name in names})


def play(block: Block, days: Sequence[int], state: State, sent: Sent, promotions: Sequence[Promotion]) -> Orders:
    """Play `days` in order. At most one order a user and day; of several offers the most attractive counts."""
    seed, law, traits = block.world.seed, block.world.law, block.traits
    users, all_rows = block.users, np.arange(len(block.users))
    response = responses(block, sent, promotions) if len(sent.row) else None
    by_lift = np.argsort(response.lift, kind="stable") if response else np.zeros(0, dtype=np.int64)
    lift = response.lift if response else np.zeros(0)
    chance_seen = uniforms(seed, "notice", users[sent.row], sent.key) if response else np.zeros(0)
    noticed = np.zeros(len(sent.row), dtype=bool)
    is_open = np.ones(len(sent.row), dtype=bool)
    since, load = state.since_order.copy(), state.load.copy()
    browsing = np.zeros((len(users), len(days)))
    found: list[tuple[Any, ...]] = []
    for column, day in enumerate(days):
        load = load * np.exp(-1 / law.load_days)
        arriving = sent.first == day
        rows = sent.row[arriving]
        noticed[arriving] = chance_seen[arriving] < noticing(traits.notice[rows], load[rows], law.notice_decay)
        load = load + np.bincount(rows, minlength=len(users))
        visits = block.rate(day) * fatigue(load, traits.tolerance, traits.irritation)
        ready = readiness(since, traits.patience)
        browsing[:, column] = visits * (0.75 + 0.25 * ready)
        offer = np.full(len(users), -1)
        live = by_lift[(noticed & is_open & (sent.first <= day) & (day < sent.until))[by_lift]]
        offer[sent.row[live]] = live  # the last written, with the highest lift, stays
        lifted = np.where(offer >= 0, lift[offer], 1.0) if len(lift) else np.ones(len(users))
        chance = 1 - np.exp(-visits * traits.order_rate * ready * lifted)
        buyer = all_rows[uniforms(seed, "order", users, day) < chance]
        pick = uniforms(seed, "basket", users[buyer], day)
        candidate, redeemed, extra, extra_line, concession = _choose(pick, offer[buyer], response, law.candidates)
        is_open[redeemed[redeemed >= 0]] = False
        found.append((buyer, np.full(len(buyer), day), candidate, redeemed, extra, extra_line, concession))
        since = since + 1
        since[buyer] = 1
    row, at, candidate, redeemed, extra, extra_line, concession = (np.concatenate(column) for column in zip(*found, strict=True))
    return Orders(row, at, candidate, redeemed, extra, extra_line, concession, noticed, browsing, State(since, load), days[0])


def _choose(pick: Floats, offer: Ints, response: Response | None, count: int) -> tuple[Ints, Ints, Ints, Ints, Floats]:
    """Candidate, message redeemed (or -1), extra units and their line, concession, of orders made under `offer` (or -1)."""
    candidate = np.floor(pick * count).astype(np.int64)
    nothing = np.zeros_like(candidate)
    if response is None:
        return candidate, nothing - 1, nothing, nothing, nothing.astype(np.float64)
    cumulative = np.cumsum(response.weight[offer], axis=1)
    led = np.minimum((cumulative <= pick[:, None] * cumulative[:, -1:]).sum(axis=1), count - 1)
    candidate = np.where(offer >= 0, led, candidate)
    redeems = (offer >= 0) & response.redeems[offer, candidate]
    return (
        candidate,
        np.where(redeems, offer, -1),
        np.where(redeems, response.extra[offer, candidate], 0),
        np.where(redeems, response.extra_line[offer, candidate], 0),
        np.where(redeems, response.concession[offer, candidate], 0.0),
    )
