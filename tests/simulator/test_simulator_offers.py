"""Offers change behaviour as written, and the truth told of them is the mean of what is played."""

from dataclasses import replace

import numpy as np
import pytest
from shops import lived, profit, world

from promoloop.simulator import expectation, orders, past, shop
from promoloop.simulator.orders import Sent, State
from promoloop.simulator.promotions import Promotion
from promoloop.simulator.response import Response
from promoloop.simulator.world import World

SHOP = world(users=1500, items=300, days=42)
DAYS = range(SHOP.as_of, SHOP.as_of + 14)


def _promotion(form: str, **given: object) -> Promotion:
    plain = Promotion("P", "", form, SHOP.as_of, SHOP.as_of + 14)
    return replace(plain, **given)  # type: ignore[arg-type]


PROMOTIONS = {
    "spend_threshold": _promotion("spend_threshold", threshold=45.0, discount_amount=6.0),
    "discount": _promotion("discount", discount_rate=0.15, category=1),
    "gift": _promotion("gift", threshold=25.0, gift_item=3, gift_unit_cost=2.5),
    "flash_sale": replace(_promotion("flash_sale", discount_rate=0.2), ends=SHOP.as_of + 4),
}


def _respond(promotion: Promotion, shop: World = SHOP) -> Response:
    block = shop.block(0)
    rows = np.arange(len(block.users))
    sent = Sent(rows, rows * 0, rows * 0 + promotion.starts, rows * 0 + promotion.ends, rows * 0)
    return orders.responses(block, sent, (promotion,))


@pytest.mark.parametrize("form", PROMOTIONS)
def test_truth_is_the_mean_of_what_is_played(form: str, monkeypatch: pytest.MonkeyPatch):
    promotion, repeats, honest = PROMOTIONS[form], 16, orders.uniforms
    played: dict[str, list[np.ndarray]] = {"profit": [], "redeemed": [], "cost": [], "orders": []}
    told: dict[str, list[np.ndarray]] = {name: [] for name in played}
    for block, history, _, _ in lived(SHOP):
        rows = np.arange(len(block.users))
        zero = rows * 0
        truth = expectation.of_promotions(block, rows, DAYS, history.state, (promotion,))[0]
        sums = {name: np.zeros(len(rows)) for name in played}
        for repeat in range(repeats):
            monkeypatch.setattr(orders, "uniforms", lambda seed, *key, r=repeat: honest(seed + 1000 + r, *key))
            sent = Sent(rows, zero, zero + promotion.starts, zero + promotion.ends, zero)
            offered = orders.play(block, DAYS, history.state, sent, (promotion,))
            alone = orders.play(block, DAYS, history.state, Sent.none(), ())
            sums["profit"] += profit(block, offered) - profit(block, alone)
            sums["redeemed"] += np.bincount(offered.row[offered.sent >= 0], minlength=len(rows))
            sums["cost"] += np.bincount(offered.row, weights=offered.concession, minlength=len(rows))
            sums["orders"] += np.bincount(offered.row, minlength=len(rows)) - np.bincount(alone.row, minlength=len(rows))
        for name, values in sums.items():
            played[name].append(values / repeats)
        told["profit"].append(truth.expected_profit)
        told["redeemed"].append(truth.p_redeem)
        told["cost"].append(truth.expected_cost)
        told["orders"].append(truth.expected_orders)
    for name in played:
        difference = np.concatenate(played[name]) - np.concatenate(told[name])
        assert abs(difference.mean()) < 3.3 * difference.std() / np.sqrt(len(difference)), name
    assert np.concatenate(told["redeemed"]).mean() > 0.005
    # and user by user, not on average alone
    assert np.corrcoef(np.concatenate(played["redeemed"]), np.concatenate(told["redeemed"]))[0, 1] > 0.3


def test_baseline_is_the_mean_of_what_is_played_without_offers(monkeypatch: pytest.MonkeyPatch):
    honest, repeats = orders.uniforms, 16
    differences = []
    for block, history, _, _ in lived(SHOP):
        told, _ = expectation.baseline(block, DAYS, history.state)
        seen, bought = np.zeros(len(block.users)), np.zeros(len(block.users))
        for repeat in range(repeats):
            monkeypatch.setattr(orders, "uniforms", lambda seed, *key, r=repeat: honest(seed + 2000 + r, *key))
            alone = orders.play(block, DAYS, history.state, Sent.none(), ())
            count = np.bincount(alone.row, minlength=len(block.users))
            seen, bought = seen + count, bought + (count > 0)
        differences.append(np.column_stack([seen / repeats - told.orders, bought / repeats - told.p_order]))
    difference = np.concatenate(differences)
    assert (np.abs(difference.mean(axis=0)) < 3.3 * difference.std(axis=0) / np.sqrt(len(difference))).all()


def test_effects_differ_between_people_and_some_offers_lose_money_on_some():
    block, history, _, _ = lived(SHOP)[0]
    truths = expectation.of_promotions(block, np.arange(len(block.users)), DAYS, history.state, SHOP.active(SHOP.as_of))
    profits = np.stack([truth.expected_profit for truth in truths])
    assert (profits < -0.01).mean() > 0.05
    assert (profits > 0.05).mean() > 0.15
    assert len(np.unique(np.argmax(profits, axis=0))) >= 4
    for truth in truths:
        assert ((truth.p_redeem >= 0) & (truth.p_redeem <= 1)).all()
        assert (truth.expected_cost >= 0).all()


def test_response_grows_with_depth_but_not_in_proportion():
    rates = (0.02, 0.05, 0.10, 0.20, 0.40)
    log_lifts = [float(np.log(_respond(_promotion("discount", discount_rate=rate)).lift).mean()) for rate in rates]
    assert log_lifts == sorted(log_lifts)
    per_depth = [log_lift / rate for log_lift, rate in zip(log_lifts, rates, strict=True)]
    assert per_depth[1] > 1.3 * per_depth[0]  # too little to notice at first
    assert per_depth[4] < 0.7 * per_depth[2]  # and nothing more to win in the end


def test_users_top_up_to_a_threshold_only_where_it_is_worth_it():
    block, promotion = SHOP.block(0), _promotion("spend_threshold", threshold=40.0, discount_amount=6.0)
    rows = np.arange(len(block.users))
    baskets = block.candidates(rows, rows * 0)
    spend, response = baskets.totals(SHOP.catalogue.price), _respond(promotion)
    assert (response.redeems[spend >= 40.0]).all()
    topped = response.redeems & (spend < 40.0)
    assert 0.05 < topped.mean() < 0.6
    line_item = np.take_along_axis(baskets.item, response.extra_line[..., None], axis=-1)[..., 0]
    assert (spend + response.extra * SHOP.catalogue.price[line_item])[topped].min() >= 40.0 - 1e-6
    assert (spend + (response.extra - 1) * SHOP.catalogue.price[line_item])[topped].max() < 40.0
    assert spend[topped].mean() > spend[~response.redeems].mean()


def test_demand_is_diverted_from_what_is_out_of_scope():
    response = _respond(_promotion("discount", discount_rate=0.25, category=1))
    has_both = response.redeems.any(axis=1) & ~response.redeems.all(axis=1)
    outside = ~response.redeems & has_both[:, None]
    assert has_both.any()
    assert (response.weight[outside] < 1).all()
    assert (response.weight[~has_both & ~response.redeems.any(axis=1)] == 1).all()
    assert (response.concession[~response.redeems] == 0).all()


def test_the_others_live_on_as_they_would_have_when_somebody_is_forgotten():
    promotion = PROMOTIONS["discount"]
    chapter = shop.continuation(SHOP, SHOP.as_of, (promotion,))
    offer = {"promotion_id": "P", "first": promotion.starts, "until": promotion.ends, "channel": "email"}
    people = [
        {"user_number": n, "since_order_days": 30.0, "message_load": 0.0, "offers": [offer | {"offer_id": f"o{n}"}] if n % 2 else None}
        for n in range(500)
    ]
    forgotten = 3
    told = []
    for there in (people, [person for person in people if person["user_number"] != forgotten]):
        played = chapter.play({"block": 0, "people": there})
        numbers = played.block.users[played.orders.row]
        told.append({(n, day, cost) for n, day, cost in zip(numbers, played.orders.day, played.orders.concession, strict=True)})
    assert {line for line in told[0] if line[0] != forgotten} == told[1]
    assert len({line[0] for line in told[1]}) > 20


def test_an_order_brought_forward_is_missed_later():
    block = SHOP.block(0)
    rows = np.arange(len(block.users))
    just = State(np.ones(len(rows)), np.zeros(len(rows)))
    long_ago = State(np.full(len(rows), 60.0), np.zeros(len(rows)))
    soon, late = (expectation.baseline(block, DAYS, state)[0].orders for state in (just, long_ago))
    assert soon.sum() < 0.5 * late.sum()


def test_the_tenth_message_puts_people_off():
    block = SHOP.block(0)
    rows = np.arange(len(block.users))
    fresh, weary = (State(np.full(len(rows), 40.0), np.full(len(rows), load)) for load in (0.0, 9.0))
    gift = (PROMOTIONS["gift"],)
    first = expectation.of_promotions(block, rows, DAYS, fresh, gift)[0]
    tenth = expectation.of_promotions(block, rows, DAYS, weary, gift)[0]
    assert tenth.expected_profit.sum() < 0.3 * first.expected_profit.sum()
    assert (tenth.expected_profit < 0).mean() > (first.expected_profit < 0).mean() + 0.2


def test_past_campaigns_are_randomised_with_known_propensities():
    block = SHOP.block(0)
    given = past.assign(block)
    starts = {campaign.starts for campaign in SHOP.campaigns}
    assert len(SHOP.campaigns) >= 4
    assert {promotion.form for promotion in past.promotions(SHOP)} == {"spend_threshold", "discount", "gift", "flash_sale"}
    assert len(starts) == len(SHOP.campaigns)
    every = [past.assign(SHOP.block(index)) for index in range(SHOP.blocks)]
    arm = np.concatenate([one.arm for one in every])
    shares = np.bincount(arm, minlength=3) / len(arm)
    assert shares == pytest.approx([0.35, 0.05, 0.60], abs=0.02)
    # the arms' propensities add up to one over the promotions of a campaign
    per_campaign = len(SHOP.campaigns[0].promotions)
    assert given.propensity[given.arm == 0] == pytest.approx(0.35 / per_campaign)
    assert given.propensity[given.arm == 2] == pytest.approx(0.60 / per_campaign)
    assert (block.known.has_consent[given.row] > 0).all()
    sent = past.sent(block, given)
    assert len(sent.row) == (given.arm < 2).sum()
