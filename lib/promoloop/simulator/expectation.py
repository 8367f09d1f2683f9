"""What an offer is worth in truth: the mean of the law that `orders.play` plays, exact by a recursion over days.

Between two orders the law depends on the past only through the day of the last order and on whether the offer was redeemed, so
the probabilities of those states, carried from day to day, give the expected orders, margin and redemptions without any draw.
Expectations are taken given the traits, the state and the candidate baskets of the season, over the season's days.
"""

from dataclasses import dataclass

import numpy as np

from promoloop.simulator import orders
from promoloop.simulator.draws import Floats, Ints
from promoloop.simulator.orders import Sent, State
from promoloop.simulator.promotions import Promotion
from promoloop.simulator.world import Block


@dataclass(frozen=True)
class Outlook:
    """Expectations over the days ahead, one per case; money where not said otherwise."""

    orders: Floats  # expected number of orders
    p_order: Floats  # probability of at least one order
    margin: Floats  # expected margin, concessions not taken off
    redemptions: Floats  # probability that the offer is redeemed


@dataclass(frozen=True)
class OfferTruth:
    """Truth of one promotion for users of a block: the promotion issued to one user alone, against nothing issued."""

    p_redeem: Floats
    expected_cost: Floats  # money conceded
    expected_profit: Floats  # incremental margin less what is conceded
    expected_orders: Floats  # incremental


@dataclass(frozen=True)
class Deal:
    """What ordering while an offer is open means, one per case: without an offer, lift 1 and nothing redeemed."""

    first: int
    until: int
    lift: Floats  # factor on the order intensity
    redeem: Floats  # probability that an order redeems
    margin: Floats  # expected margin of an order while open


def outlook(block: Block, rows: Ints, days: range, state: State, margin: Floats, message: int | None, deal: Deal | None) -> Outlook:
    """Expectations for the users at `rows` (cases) over `days`, with a message on day `message` and an open `deal`, if any.

    `margin` is the expected margin of an order without an offer, `state` that of the rows at the beginning of `days`.
    """
    law, traits = block.world.law, block.traits
    patience, rate = traits.patience[rows], traits.order_rate[rows]
    count, horizon = len(rows), len(days)
    load = state.load.copy()
    # probability of: last order before `days` (column 0) or on the (column - 1)th of them; with the offer open, and redeemed
    still, used = np.zeros((count, horizon + 1)), np.zeros((count, horizon + 1))
    still[:, 0] = 1.0
    total, earned, redeemed = np.zeros(count), np.zeros(count), np.zeros(count)
    never = np.ones(count)
    for step, day in enumerate(days):
        load = load * np.exp(-1 / law.load_days) + (1.0 if message == day else 0.0)
        visits = block.rate(day)[rows] * orders.fatigue(load, traits.tolerance[rows], traits.irritation[rows])
        since = np.column_stack([state.since_order + step, np.broadcast_to(step - np.arange(step), (count, step))])
        ready = orders.readiness(since, patience[:, None])
        intensity = (visits * rate)[:, None] * ready
        is_open = deal is not None and deal.first <= day < deal.until
        lift = deal.lift[:, None] if deal is not None and is_open else 1.0
        live = slice(0, step + 1)
        ordering = 1 - np.exp(-intensity * lift)
        before, after = still[:, live] * ordering, used[:, live] * (1 - np.exp(-intensity))
        never = never * (1 - ordering[:, 0])
        still[:, live] -= before
        used[:, live] -= after
        now, later = before.sum(axis=1), after.sum(axis=1)
        share = deal.redeem if deal is not None and is_open else np.zeros(count)
        still[:, step + 1] += now * (1 - share)
        used[:, step + 1] += now * share + later
        total += now + later
        earned += now * (deal.margin if deal is not None and is_open else margin) + later * margin
        redeemed += now * share
    return Outlook(total, 1 - never, earned, redeemed)


def baseline(block: Block, days: range, state: State) -> tuple[Outlook, Floats]:
    """Outlook of every user of the block without any message, and the expected margin of an order."""
    rows = np.arange(len(block.users))
    margin = _margin(block, rows, days.start)
    return outlook(block, rows, days, state, margin, None, None), margin


def of_promotions(block: Block, rows: Ints, days: range, state: State, promotions: tuple[Promotion, ...]) -> list[OfferTruth]:
    """For each promotion, the truth for the users at `rows`: their offer would be valid within the promotion's window."""
    traits, law = block.traits, block.world.law
    mine = State(state.since_order[rows], state.load[rows])
    margin = _margin(block, rows, days.start)
    without = outlook(block, rows, days, mine, margin, None, None)
    unseen: dict[int, Outlook] = {}
    truths = []
    for promotion in promotions:
        first, until = max(promotion.starts, days.start), min(promotion.ends, days.stop)
        if first not in unseen:
            unseen[first] = outlook(block, rows, days, mine, margin, first, None)
        everyone = np.full(len(rows), 0)
        sent = Sent(rows, everyone, everyone + first, everyone + until, everyone)
        response = orders.responses(block, sent, (promotion,))
        redeem = response.per_order(response.redeems.astype(np.float64))
        deal = Deal(first, until, response.lift, redeem, response.per_order(response.margin))
        seen = outlook(block, rows, days, mine, margin, first, deal)
        # the concession of a redeeming order does not depend on its day
        conceded = response.per_order(response.concession) / np.where(redeem > 0, redeem, 1.0)
        load = mine.load * np.exp(-(first - days.start + 1) / law.load_days)
        notices = orders.noticing(traits.notice[rows], load, law.notice_decay)
        gained = notices * seen.margin + (1 - notices) * unseen[first].margin - without.margin
        more = notices * seen.orders + (1 - notices) * unseen[first].orders - without.orders
        cost = notices * seen.redemptions * conceded
        truths.append(OfferTruth(notices * seen.redemptions, cost, gained - cost, more))
    return truths


def _margin(block: Block, rows: Ints, day: int) -> Floats:
    goods = block.world.catalogue
    season = np.full(len(rows), block.world.season(np.asarray(day)))
    options = block.candidates(rows, season)
    return np.asarray(options.totals(goods.price - goods.unit_cost).mean(axis=1))
