"""How an offer that was noticed changes the choice among a user's candidate baskets. The log and the truth both use this, nothing else."""

from dataclasses import dataclass

import numpy as np

from promoloop.simulator.baskets import Baskets, Flags
from promoloop.simulator.catalogue import Catalogue
from promoloop.simulator.draws import Floats, Ints
from promoloop.simulator.law import FORMS, Law
from promoloop.simulator.promotions import Promotion


@dataclass(frozen=True)
class Response:
    """Per user (n) and candidate basket (n x candidates), while the offer can be redeemed."""

    weight: Floats  # intensity of the basket, in units of a candidate's without the offer
    redeems: Flags  # whether an order of it redeems the offer
    extra: Ints  # units added to reach the threshold
    extra_line: Ints  # line they are added to
    concession: Floats  # money the shop gives up on it
    margin: Floats  # price less unit cost over the order, concession not taken off, money

    @property
    def lift(self) -> Floats:
        """Intensity of ordering, in units of that without the offer (n)."""
        return np.asarray(self.weight.mean(axis=1))

    def per_order(self, amount: Floats) -> Floats:
        """Expectation of `amount` over the basket of an order made while the offer can be redeemed (n)."""
        return np.asarray((self.weight * amount).sum(axis=1) / self.weight.sum(axis=1))


def respond(
    baskets: Baskets, promotion: Promotion, elasticity: Floats, proneness: Floats, switching: Floats, catalogue: Catalogue, law: Law
) -> Response:
    """Response of users (n) with the given traits and candidate `baskets` (n x candidates x lines) to one promotion."""
    covered = promotion.covers(catalogue)[baskets.item] & (baskets.quantity > 0)
    price, cost = catalogue.price, catalogue.unit_cost
    amount = baskets.quantity * price[baskets.item]
    spend, inside = amount.sum(axis=-1), np.where(covered, amount, 0.0).sum(axis=-1)
    extra_line = np.argmax(np.where(covered, amount, -1.0), axis=-1)
    extra_item = np.take_along_axis(baskets.item, extra_line[..., None], axis=-1)[..., 0]
    short = np.where(inside > 0, np.maximum(promotion.threshold - inside, 0.0), 0.0)
    extra = np.ceil(np.round(short / price[extra_item], 6)).astype(np.int64)
    outlay = extra * price[extra_item]
    can = (inside > 0) & (extra <= law.topup_most)
    reached = inside + outlay
    concession = _concession(promotion, reached)
    benefit = concession * (law.gift_appeal if promotion.form == "gift" else 1.0)
    depth = benefit / (spend + outlay)
    form = proneness[:, FORMS.index(promotion.form)]
    strength = np.minimum(2 * form / (1 + form) * np.sqrt(elasticity / 1.2), law.strength_most) * law.response_most
    focus = law.focus if promotion.is_scoped else 1.0
    urgency = focus * law.urgency if promotion.form == "flash_sale" else focus
    pull = strength[:, None] * urgency * depth**2 / (depth**2 + law.depth_half**2)
    gain = pull - law.burden * outlay / spend
    redeems = can & ((extra == 0) | (gain > 0))
    weight = np.where(redeems, np.exp(np.where(redeems, gain, 0.0)), 1.0)
    weight = _divert(weight, redeems, gain, switching)
    extra = np.where(redeems, extra, 0)
    margin = baskets.totals(price - cost) + extra * (price - cost)[extra_item]
    return Response(weight, redeems, extra, extra_line, np.where(redeems, concession, 0.0), margin)


def _concession(promotion: Promotion, spend: Floats) -> Floats:
    """Money given up on an order with in-scope `spend` that applies: the rules of offers/forms.py."""
    if promotion.form == "spend_threshold":
        return np.full(spend.shape, promotion.discount_amount)
    if promotion.form == "gift":
        return np.full(spend.shape, promotion.gift_unit_cost)
    return np.round(promotion.discount_rate * spend, 2)


def _divert(weight: Floats, redeems: Flags, gain: Floats, switching: Floats) -> Floats:
    """Move part of the demand for other baskets to those that redeem, in proportion to their weight."""
    inside = np.where(redeems, weight, 0.0)
    total = inside.sum(axis=1, keepdims=True)
    has_any = total > 0
    pull = np.where(redeems, gain, 0.0).sum(axis=1, keepdims=True) / np.maximum(redeems.sum(axis=1, keepdims=True), 1)
    share = np.where(has_any, switching[:, None] * (1 - np.exp(-np.maximum(pull, 0.0))), 0.0)
    outside = np.where(redeems, 0.0, weight)
    moved = share * outside.sum(axis=1, keepdims=True)
    return np.asarray(outside * (1 - share) + inside * (1 + moved / np.where(has_any, total, 1.0)))
