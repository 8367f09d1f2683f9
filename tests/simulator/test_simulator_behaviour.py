"""The log shows what is published of shops: ratios of event types, Zipf popularity, heavy tails, over-dispersed visits."""

from dataclasses import fields

import numpy as np
import pytest
from shops import lived, profit, world

from promoloop.simulator.law import CART, OFFER_REDEEM, OFFER_VIEW, PURCHASE, REVIEW, VIEW
from promoloop.simulator.world import Block

SHOP = world(users=6000, items=1000, days=60)


def _events(kind: int, field: str) -> np.ndarray:
    return np.concatenate([getattr(log, field)[log.type == kind] for _, _, _, log in lived(SHOP)])


def test_views_carts_and_purchases_stand_as_published():
    views, carts, purchases = (len(_events(kind, "item")) for kind in (VIEW, CART, PURCHASE))
    assert views / purchases == pytest.approx(119, rel=0.10)
    assert carts / purchases == pytest.approx(3.1, rel=0.10)


def test_popularity_follows_zipf():
    counts = np.sort(np.bincount(_events(VIEW, "item"), minlength=SHOP.items))[::-1][:300].astype(float)
    ranks = np.log(np.arange(1, 301))
    slope, level = np.polyfit(ranks, np.log(counts), 1)
    residual = np.log(counts) - (slope * ranks + level)
    assert -1.15 < slope < -0.75
    assert 1 - residual.var() / np.log(counts).var() > 0.97


def test_basket_values_have_a_heavy_tail():
    spends = []
    for block, played, _, _ in lived(SHOP):
        spends.append(block.basket(played.row, SHOP.season(played.day), played.candidate).totals(SHOP.catalogue.price))
    spend = np.sort(np.concatenate(spends))
    assert np.quantile(spend, 0.99) > 6 * np.median(spend)
    assert spend[int(0.9 * len(spend)) :].sum() > 0.3 * spend.sum()
    log_spend = np.log(spend)
    assert abs(((log_spend - log_spend.mean()) ** 3).mean() / log_spend.std() ** 3) < 0.6  # near log-normal: a tail no normal law has


def test_visits_are_over_dispersed():
    for block, _, _, log in lived(SHOP)[:2]:
        is_session = (log.type == VIEW) & (log.line == 0)
        per_user = np.bincount(log.row[is_session], minlength=len(block.users))
        assert per_user.var() > 3 * per_user.mean()


def test_margins_are_those_of_a_shop():
    goods = SHOP.catalogue
    assert (1 - goods.unit_cost / goods.price).mean() == pytest.approx(0.30, abs=0.03)
    assert sum(profit(block, played).sum() for block, played, _, _ in lived(SHOP)) > 0


def test_what_is_out_of_stock_is_never_bought():
    out = np.flatnonzero(SHOP.catalogue.stock == 0)
    assert len(out) > 0
    assert not np.isin(_events(PURCHASE, "item"), out).any()
    assert np.isin(_events(VIEW, "item"), out).any()


def test_events_are_consistent():
    for block, played, sent, log in lived(SHOP)[:3]:
        day = log.at // 86_400_000_000
        assert (np.diff(log.row) >= 0).all()
        assert day[log.type != REVIEW].min() >= SHOP.opening
        assert day[log.type != REVIEW].max() < SHOP.as_of
        assert (day >= SHOP.opening + block.known.joined[log.row]).all()
        # one order a user and day, and every redemption within its offer's days, by its own user, once
        assert len(np.unique(played.row * 100_000 + played.day)) == len(played.row)
        used = played.sent >= 0
        assert used.any()
        assert (sent.row[played.sent[used]] == played.row[used]).all()
        assert ((sent.first[played.sent[used]] <= played.day[used]) & (played.day[used] < sent.until[played.sent[used]])).all()
        assert len(np.unique(played.sent[used])) == used.sum()
        assert played.noticed[played.sent[used]].all()
        assert (log.type == OFFER_REDEEM).sum() == used.sum()
        assert (log.type == OFFER_VIEW).sum() == played.noticed.sum()


def test_reviews_follow_satisfaction():
    items, ratings = _events(REVIEW, "item"), _events(REVIEW, "rating")
    assert set(ratings) <= {1, 2, 3, 4, 5}
    good = SHOP.catalogue.quality[items] > 0
    assert ratings[good].mean() > ratings[~good].mean() + 0.4


def test_users_do_not_depend_on_their_block():
    whole = SHOP.block(0)
    part = Block(SHOP, whole.users[120:260])
    for name in ("known", "traits", "tastes"):
        one, other = getattr(part, name), getattr(whole, name)
        for field in fields(one):
            assert np.allclose(getattr(one, field.name), getattr(other, field.name)[120:260]), field.name


def test_traits_are_not_linear_in_demographics():
    known = [block.known for block, *_ in lived(SHOP)]
    traits = [block.traits for block, *_ in lived(SHOP)]
    age = np.concatenate([k.age for k in known]).astype(float)
    income = np.log(np.concatenate([k.income for k in known]))
    liking = np.concatenate([t.category_affinity[:, 5] for t in traits])  # baby: a bump over age
    linear = np.column_stack([np.ones_like(age), age, income])
    curved = np.column_stack([linear, np.exp(-(((age - 33) / 7) ** 2))])

    def explained(design: np.ndarray) -> float:
        return 1 - (liking - design @ np.linalg.lstsq(design, liking, rcond=None)[0]).var() / liking.var()

    assert explained(curved) > explained(linear) + 0.15
    assert explained(curved) < 0.9
