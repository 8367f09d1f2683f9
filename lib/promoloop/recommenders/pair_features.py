"""What is known of a (user, item) pair beside the scores of the sources: the user's tastes, and what the user did with the item."""

import numpy as np
from numpy.typing import NDArray

from promoloop.recommenders.arrays import Floats, Histories, Integers, Lookup
from promoloop.recommenders.catalogue import Catalogue


def of_pairs(histories: Histories, catalogue: Catalogue, users: Integers, items: Integers) -> dict[str, Floats]:
    """Columns by feature for pairs of a user's row and an item's index."""
    return {
        "category_share": _share(histories, catalogue.categories, users, items),
        "brand_share": _share(histories, catalogue.brands, users, items),
        "price_distance": _price_distance(histories, catalogue, users, items),
        **_own(histories, catalogue, users, items),
    }


def _own(histories: Histories, catalogue: Catalogue, users: Integers, items: Integers) -> dict[str, Floats]:
    """What the user's own history says of each item; 0 where it is new to the user.

    own_is_due: exp(-log(days since the last purchase / the item's usual days between purchases)²), 1 when it is just due again.
    """
    at = Lookup(histories.users * len(catalogue) + histories.items).find(users * len(catalogue) + items)
    is_own = at >= 0

    def of(values: Integers | Floats, is_known: NDArray[np.bool_]) -> Floats:
        found: Floats = np.where(is_known, np.append(values, 0)[at], 0).astype(np.float32)
        return found

    purchases, days = of(histories.purchases, is_own), of(histories.days, is_own)
    is_bought = is_own & (purchases > 0)
    overdue = np.log((np.maximum(days, 0) + 1) / catalogue.repeat_days[items])
    return {
        "is_own": is_own.astype(np.float32),
        "own_strength": np.log1p(of(histories.strengths, is_own)),
        "own_purchases": np.log1p(purchases),
        "own_days": np.where(is_bought, np.log1p(np.maximum(days, 0)), 0).astype(np.float32),
        "own_is_due": np.where(is_bought, np.exp(-np.square(overdue)), 0).astype(np.float32),
        "own_repeat_share": np.where(is_bought, catalogue.repeat_share[items], 0).astype(np.float32),
    }


def _share(histories: Histories, codes: Integers, users: Integers, items: Integers) -> Floats:
    """Share of the user's strength that went to the item's category (brand); 0 where that is unknown (code -1)."""
    width = int(codes.max(initial=0)) + 2
    spent, at = np.unique(histories.users * width + codes[histories.items] + 1, return_inverse=True)
    strengths = np.append(np.bincount(at, histories.strengths, len(spent)), 0)
    totals = np.maximum(np.bincount(histories.users, histories.strengths, len(histories)), 1e-9)
    found = strengths[Lookup(spent).find(users * width + codes[items] + 1)]  # the appended 0 where there is none
    return np.where(codes[items] < 0, 0, found / totals[users]).astype(np.float32)


def _price_distance(histories: Histories, catalogue: Catalogue, users: Integers, items: Integers) -> Floats:
    """|log price - the user's mean log price|, of known prices; 0 where either is unknown."""
    prices = catalogue.log_prices[histories.items]
    is_known = ~np.isnan(prices)
    of_users, strengths = histories.users[is_known], histories.strengths[is_known]
    totals = np.bincount(of_users, strengths * prices[is_known], len(histories))
    weights = np.bincount(of_users, strengths, len(histories))
    means = totals / np.maximum(weights, 1e-9)
    return np.where(weights[users] > 0, np.nan_to_num(np.abs(catalogue.log_prices[items] - means[users])), 0).astype(np.float32)
