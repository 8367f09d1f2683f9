"""Candidates of a block of users: each source proposes its best items, and every proposed pair gets every source's score.

    als       x_u · y_i, users folded in from their history            together  Σ_j h_uj w_ji over the neighbours of own items
    content   cosine of the item with the user's taste                 popular   share of the user's cell
    own       items of the user's own history: to buy again, or to come back to

Proposed by none: an item that is out of stock, and one the user has bought that people do not buy again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promoloop.recommenders import cooccurrence, folding, topk
from promoloop.recommenders.arrays import Floats, Histories, Integers, Lookup
from promoloop.recommenders.catalogue import ALL, Catalogue, unit
from promoloop.settings.learning import RecommendersSettings

FEATURES = (
    "als",
    "together",
    "content",
    "category_share",
    "brand_share",
    "price_distance",
    "popular_in_cell",
    "popular",
    "is_own",
    "own_strength",
    "own_purchases",
    "own_days",
    "own_is_due",
    "own_repeat_share",
)
_MATRICES = 5  # users × items, float32, alive at the worst moment


@dataclass(frozen=True)
class Pairs:
    """Proposed (user, item) pairs, ordered by user, then item: the user's row in the block, the item's index, a column per feature."""

    users: Integers
    items: Integers
    features: Floats


@dataclass(frozen=True)
class Proposed:
    """Pairs of a block, the users' factors, and the matrices these were solved from (they explain scores)."""

    pairs: Pairs
    user_factors: Floats
    matrices: NDArray[np.float64]


def rows_at_once(catalogue: Catalogue, memory_mb: int) -> int:
    """Users scored at once so that their score matrices fit into `memory_mb`."""
    return max(1, min(512, memory_mb * 2**20 // (4 * _MATRICES * max(len(catalogue), 1))))


def propose(histories: Histories, cells: Integers, catalogue: Catalogue, settings: RecommendersSettings) -> Proposed:
    """The union of the best items of each source for each user, with features. `cells`: rows of the popularity matrix."""
    count = settings.candidates
    user_factors, matrices = folding.fold_in(histories, catalogue.factors)
    scores = {
        "als": user_factors @ catalogue.factors.items.T,
        "together": (cooccurrence.of_users(histories, len(catalogue)) @ catalogue.together).toarray(),
        "content": _tastes(histories, catalogue) @ catalogue.content.T,
        "popular_in_cell": catalogue.popularity[cells],
    }
    is_proposed = np.zeros((len(histories), len(catalogue)), dtype=bool)
    has_history = histories.lengths > 0
    is_done = (histories.purchases > 0) & (catalogue.repeat_share[histories.items] < settings.repeatable_from)
    done_with = histories.users[is_done], histories.items[is_done]
    for source, matrix in scores.items():
        wanted = np.flatnonzero(has_history) if source != "popular_in_cell" else np.arange(len(histories))
        open_to_all = np.where(catalogue.is_available, matrix, np.float32(-np.inf))
        open_to_all[done_with] = -np.inf
        best, _ = topk.select(open_to_all[wanted], count)
        is_proposed[np.repeat(wanted, best.shape[1])[best.ravel() >= 0], best[best >= 0]] = True
    strongest = np.arange(len(histories.items)) - histories.offsets[histories.users] < count
    is_proposed[histories.users[strongest], histories.items[strongest]] = True
    is_proposed[done_with] = False
    users, items = np.nonzero(is_proposed & catalogue.is_available)
    columns = {source: matrix[users, items] for source, matrix in scores.items()}
    columns["popular"] = catalogue.popularity[catalogue.cells.index(ALL), items]
    columns["category_share"] = _share(histories, catalogue.categories, users, items)
    columns["brand_share"] = _share(histories, catalogue.brands, users, items)
    columns["price_distance"] = _price_distance(histories, catalogue, users, items)
    columns.update(_own(histories, catalogue, users, items))
    features = np.column_stack([columns[name] for name in FEATURES]).astype(np.float32)
    return Proposed(Pairs(users, items, features), user_factors, matrices)


def _tastes(histories: Histories, catalogue: Catalogue) -> Floats:
    """Unit content vector per user: the sum of those of the history, by log strength."""
    tastes = np.zeros((len(histories), catalogue.content.shape[1]), dtype=np.float32)
    weights = np.log1p(histories.strengths)
    for row in range(len(histories)):
        entry = slice(histories.offsets[row], histories.offsets[row + 1])
        tastes[row] = weights[entry] @ catalogue.content[histories.items[entry]]
    return unit(tastes)


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
    """Share of the user's strength that went to the item's category (brand); 0 where that is unknown."""
    width = int(codes.max(initial=0)) + 2
    strengths = np.zeros((len(histories), width), dtype=np.float32)
    np.add.at(strengths, (histories.users, codes[histories.items]), histories.strengths)
    strengths /= np.maximum(strengths.sum(axis=1, keepdims=True), 1e-9)
    strengths[:, -1] = 0  # code -1: unknown
    shares: Floats = strengths[users, codes[items]]
    return shares


def _price_distance(histories: Histories, catalogue: Catalogue, users: Integers, items: Integers) -> Floats:
    """|log price - the user's mean log price|; 0 for a user without history."""
    totals = np.bincount(histories.users, histories.strengths * catalogue.log_prices[histories.items], len(histories))
    weights = np.bincount(histories.users, histories.strengths, len(histories))
    means = totals / np.maximum(weights, 1e-9)
    return np.where(weights[users] > 0, np.abs(catalogue.log_prices[items] - means[users]), 0).astype(np.float32)
