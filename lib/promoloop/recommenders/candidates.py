"""Candidates of a block of users: each source proposes its best items, and every proposed pair gets every source's score.

    als       x_u · y_i, users folded in from their history            together  Σ_j h_uj w_ji over the neighbours of own items
    content   cosine of the item with the user's taste                 popular   share of the user's cell
    own       items of the user's own history: to buy again, or to come back to

Proposed by none: an item that is out of stock, and one the user has bought that people do not buy again.

Only als and content look at the whole catalogue, one source and block of users at a time (in a catalogue with `clusters` at the best
of them); everything else is as large as the candidates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from promoloop.recommenders import clusters, cooccurrence, folding, nearest, pair_features, topk
from promoloop.recommenders.arrays import Floats, Histories, Integers, Lookup
from promoloop.recommenders.catalogue import ALL, Catalogue, unit
from promoloop.recommenders.clusters import Clusters
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
    """Users scored at once so that what is scored of the catalogue fits into `memory_mb`."""
    parts = (catalogue.factor_clusters, catalogue.content_clusters)
    widest = max(len(catalogue) if part is None else int(np.diff(part.offsets).max()) for part in parts)
    return nearest.rows_at_once(widest, memory_mb)


def propose(histories: Histories, cells: Integers, catalogue: Catalogue, settings: RecommendersSettings) -> Proposed:
    """The union of the best items of each source for each user, with features. `cells`: rows of the popularity matrix."""
    count, width = settings.candidates, len(catalogue)
    user_factors, matrices = folding.fold_in(histories, catalogue.factors)
    user_tastes = tastes(histories, catalogue)
    together = (cooccurrence.of_users(histories, width) @ catalogue.together).tocsr()
    done = done_with(histories, catalogue, settings)
    is_strongest = np.arange(len(histories.items)) - histories.offsets[histories.users] < count
    keys = np.concatenate(
        [
            _closest(histories, user_factors, catalogue.factors.items, catalogue.factor_clusters, done, catalogue, settings),
            _closest(histories, user_tastes, catalogue.content, catalogue.content_clusters, done, catalogue, settings),
            _together(together, done, catalogue, count),
            _popular(cells, done, catalogue, count),
            (histories.users * width + histories.items)[is_strongest],
        ]
    )
    keys = np.unique(keys[catalogue.is_available[keys % width] & ~_is_among(keys, done, width)])
    users, items = np.divmod(keys, width)
    columns = {
        "als": _products(user_factors, catalogue.factors.items, users, items),
        "together": _entries(together, users, items),
        "content": _products(user_tastes, catalogue.content, users, items),
        "popular_in_cell": catalogue.popularity[cells[users], items],
        "popular": catalogue.popularity[catalogue.cells.index(ALL), items],
        **pair_features.of_pairs(histories, catalogue, users, items),
    }
    features = np.column_stack([columns[name] for name in FEATURES]).astype(np.float32)
    return Proposed(Pairs(users, items, features), user_factors, matrices)


def done_with(histories: Histories, catalogue: Catalogue, settings: RecommendersSettings) -> tuple[Integers, Integers]:
    """Row and item of what users have bought and people do not buy again."""
    is_done = (histories.purchases > 0) & (catalogue.repeat_share[histories.items] < settings.repeatable_from)
    return histories.users[is_done], histories.items[is_done]


def tastes(histories: Histories, catalogue: Catalogue) -> Floats:
    """Unit content vector per user: the sum of those of the history, by log strength."""
    sums = np.zeros((len(histories), catalogue.content.shape[1]), dtype=np.float32)
    weights = np.log1p(histories.strengths)
    for row in range(len(histories)):
        entry = slice(histories.offsets[row], histories.offsets[row + 1])
        sums[row] = weights[entry] @ catalogue.content[histories.items[entry]]
    return unit(sums)


def _closest(
    histories: Histories,
    vectors: Floats,
    of_items: Floats,
    parts: Clusters | None,
    done: tuple[Integers, Integers],
    catalogue: Catalogue,
    settings: RecommendersSettings,
) -> Integers:
    """Keys (row · items + item) of the items of largest product with the vector of each user who has a history."""
    rows = np.flatnonzero(histories.lengths > 0)
    place = np.cumsum(histories.lengths > 0) - 1
    without = place[done[0]], done[1]
    if parts is None:
        sold_out = np.flatnonzero(~catalogue.is_available)
        found, _ = nearest.best(vectors[rows], of_items.T, settings.candidates, sold_out, without)
    else:
        found, _ = clusters.best(vectors[rows], of_items, parts, settings.candidates, settings.probes, catalogue.is_available, without)
    at, places = np.nonzero(found >= 0)
    keys: Integers = rows[at] * len(catalogue) + found[at, places]
    return keys


def _together(together: sparse.csr_matrix, done: tuple[Integers, Integers], catalogue: Catalogue, count: int) -> Integers:
    """Keys of the items that go best with each user's own."""
    users, items = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr)), together.indices.astype(np.int64)
    keys = users * len(catalogue) + items
    is_open = (together.data > 0) & catalogue.is_available[items] & ~_is_among(keys, done, len(catalogue))
    found, _ = topk.select_among(users[is_open], items[is_open], together.data[is_open], together.shape[0], count)
    at, places = np.nonzero(found >= 0)
    best: Integers = at * len(catalogue) + found[at, places]
    return best


def _popular(cells: Integers, done: tuple[Integers, Integers], catalogue: Catalogue, count: int) -> Integers:
    """Keys of the items most popular in each user's cell: ranked once per cell, as far as the users of the block may need."""
    if not len(cells):
        return np.empty(0, dtype=np.int64)
    most = count + int(np.bincount(done[0], minlength=1).max())
    distinct, at = np.unique(cells, return_inverse=True)
    ranked, _ = topk.select(np.where(catalogue.is_available, catalogue.popularity[distinct], np.float32(-np.inf)), most)
    keys = np.arange(len(cells))[:, None] * len(catalogue) + ranked[at]
    is_open = (ranked[at] >= 0) & ~_is_among(keys.ravel(), done, len(catalogue)).reshape(keys.shape)
    best: Integers = keys[is_open & (np.cumsum(is_open, axis=1) <= count)]
    return best


def _is_among(keys: Integers, pairs: tuple[Integers, Integers], width: int) -> NDArray[np.bool_]:
    """Which keys are those of `pairs` (row, item)."""
    found: NDArray[np.bool_] = Lookup(pairs[0] * width + pairs[1]).find(keys) >= 0
    return found


def _products(vectors: Floats, of_items: Floats, users: Integers, items: Integers) -> Floats:
    """Product of the user's and the item's vector for each pair; pairs are ordered by user."""
    ends = np.searchsorted(users, np.arange(len(vectors) + 1))
    parts = [of_items[items[ends[row] : ends[row + 1]]] @ vectors[row] for row in range(len(vectors))]
    return np.concatenate([np.empty(0, dtype=np.float32), *parts])


def _entries(matrix: sparse.csr_matrix, rows: Integers, columns: Integers) -> Floats:
    """Values of a sparse matrix at these places, 0 where it has none."""
    at = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * matrix.shape[1] + matrix.indices
    found: Floats = np.append(matrix.data, np.float32(0))[Lookup(at).find(rows * matrix.shape[1] + columns)]
    return found
