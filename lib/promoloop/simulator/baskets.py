"""What users look at and buy: discrete choice over the items, and the candidate baskets of a season."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promoloop.simulator.catalogue import Catalogue
from promoloop.simulator.draws import Floats, Ints, geometrics, poissons, uniforms
from promoloop.simulator.law import Law
from promoloop.simulator.people import Traits

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Tastes:
    """Cumulative choice probabilities over items, one row per user of the block."""

    buying: Floats
    browsing: Floats
    staples: Ints  # users x staples, item numbers


@dataclass(frozen=True)
class Baskets:
    """Baskets of any leading shape, lines last; a line that is not there has item -1 and quantity 0."""

    item: Ints
    quantity: Ints

    def totals(self, per_unit: Floats) -> Floats:
        """Sum over lines of quantity times `per_unit` (indexed by item)."""
        return np.asarray((self.quantity * per_unit[self.item]).sum(axis=-1))


def tastes(seed: int, users: Ints, traits: Traits, catalogue: Catalogue, law: Law) -> Tastes:
    """Multinomial logit: log weight = affinity to category and brand + log popularity - elasticity x log relative price."""
    liking = traits.category_affinity[:, catalogue.category] + traits.brand_affinity[:, catalogue.brand]
    priced = traits.elasticity[:, None] * catalogue.log_relative_price
    bought = np.where(catalogue.stock > 0, np.exp(liking - priced + catalogue.log_popularity), 0.0)
    browsed = np.exp(law.browsing_taste * (liking - 0.4 * priced) + catalogue.log_popularity)
    buying = _cumulative(bought)
    slots = np.arange(law.staples)
    rows = np.broadcast_to(np.arange(len(users))[:, None], (len(users), law.staples))
    staples = pick(buying, rows, uniforms(seed, "staple", users[:, None], slots[None, :]))
    return Tastes(buying, _cumulative(browsed), staples)


def pick(cumulative: Floats, rows: Ints, uniform: Floats) -> Ints:
    """The item at `uniform` of the cumulative law in row `rows`, for arrays of one shape."""
    users, items = cumulative.shape
    flat = (cumulative + np.arange(users)[:, None]).ravel()
    found = np.searchsorted(flat, (rows + uniform).ravel(), side="right").reshape(rows.shape)
    return np.asarray(np.clip(found - rows * items, 0, items - 1))


def draw(
    seed: int, users: Ints, rows: Ints, season: Ints, candidate: Ints, tastes: Tastes, traits: Traits, catalogue: Catalogue, law: Law
) -> Baskets:
    """The candidate baskets number `candidate` in `season` of the users at `rows`, all arrays of one shape."""
    user = users[rows]
    count = 1 + poissons(np.full(rows.shape, law.lines_mean), uniforms(seed, "lines", user, season, candidate), law.lines_most - 1)
    line = np.arange(law.lines_most)
    keys = (user[..., None], season[..., None], candidate[..., None], line)
    each = np.broadcast_to(rows[..., None], (*rows.shape, law.lines_most))
    fresh = pick(tastes.buying, each, uniforms(seed, "item", *keys))
    slot = np.floor(uniforms(seed, "staple slot", *keys) * law.staples).astype(np.int64)
    staple = tastes.staples[each, slot]
    due = is_due(seed, user[..., None], slot, season[..., None], staple, catalogue)
    is_repeat = due & (uniforms(seed, "repeat", *keys) < traits.repeat[each])
    item = np.where(is_repeat, staple, fresh)
    more = geometrics(catalogue.units_beyond_first[catalogue.category[item]], uniforms(seed, "units", *keys))
    is_there = line < count[..., None]
    return Baskets(np.where(is_there, item, -1), np.where(is_there, 1 + np.minimum(more, 11), 0))


def is_due(seed: int, user: Ints, slot: Ints, season: Ints, staple: Ints, catalogue: Catalogue) -> Flags:
    """Whether the staple in `slot` of `user` is bought again in `season`: every so many seasons, by its category."""
    phase = np.floor(uniforms(seed, "phase", user, slot) * 12).astype(np.int64)
    return np.asarray((season + phase) % catalogue.repeat_cycle[catalogue.category[staple]] == 0)


def candidates(seed: int, users: Ints, rows: Ints, season: Ints, tastes: Tastes, traits: Traits, catalogue: Catalogue, law: Law) -> Baskets:
    """All candidate baskets of the users at `rows` (n) in `season` (n): n x candidates x lines."""
    number = np.broadcast_to(np.arange(law.candidates), (len(rows), law.candidates))
    return draw(seed, users, number * 0 + rows[:, None], number * 0 + season[:, None], number, tastes, traits, catalogue, law)


def _cumulative(weights: Floats) -> Floats:
    total = np.cumsum(weights, axis=1)
    total /= total[:, -1:]
    total[:, -1] = 1.0
    return total
