"""The shop's rules over ranked candidates: what may be on a list at all, and how a list is put together.

may be listed   in stock, and not bought before unless people buy it again (`candidates` sees to both); not far dearer than the dearest
                thing of the user's history, as far as prices are known
list            greedy: the next place goes to the candidate with the best  score - diversity · (highest cosine with those placed),
                scores scaled to 0 .. 1 among the user's best (maximal marginal relevance, Carbonell and Goldstein 1998), at most
                `category_cap` of a category (places left empty so go to the candidates below the best, by score alone); the last
                `exploration` share of places is drawn at random from the user's other candidates
"""

import numpy as np
from numpy.typing import NDArray

from promoloop.recommenders import topk
from promoloop.recommenders.arrays import Floats, Histories, Integers, Lookup, uniforms
from promoloop.recommenders.candidates import Pairs
from promoloop.recommenders.catalogue import Catalogue
from promoloop.settings.learning import RecommendersSettings

_POOL = 3  # candidates considered per place


def may_be_listed(pairs: Pairs, histories: Histories, catalogue: Catalogue, settings: RecommendersSettings) -> NDArray[np.bool_]:
    """Which pairs the rules allow."""
    dearest = np.full(len(histories), -np.inf, dtype=np.float32)
    np.fmax.at(dearest, histories.users, catalogue.log_prices[histories.items])
    ceiling = np.where(np.isfinite(dearest), dearest + np.log(settings.price_ceiling), np.inf)
    allowed: NDArray[np.bool_] = ~(catalogue.log_prices[pairs.items] > ceiling[pairs.users])  # NaN, an unknown price, is not above
    return allowed


def lists(
    users: Integers, items: Integers, scores: Floats, hashes: Integers, catalogue: Catalogue, settings: RecommendersSettings
) -> tuple[Integers, NDArray[np.bool_]]:
    """Items of each user's list by place (users × list_size, -1: none) and which places were drawn to explore.

    `users`, `items`, `scores`: a user's row, an item and its score, -inf where it may not be listed; `hashes`: one per row of user,
    which the draws depend on.
    """
    explored = min(round(settings.list_size * settings.exploration), settings.list_size - 1)  # the best stays
    ranked = _diverse(users, items, scores, len(hashes), settings.list_size - explored, catalogue, settings)
    if not explored:
        return ranked, np.zeros(ranked.shape, dtype=bool)
    is_placed = _is_among(ranked, users, items, len(catalogue))
    draws = np.where(is_placed | (scores == -np.inf), -np.inf, uniforms(hashes[users], items)).astype(np.float32)
    drawn, _ = topk.select_among(users, items, draws, len(hashes), explored)
    return _closed_up(np.hstack([ranked, drawn]), np.hstack([np.zeros(ranked.shape, dtype=bool), drawn >= 0]))


def _diverse(
    users: Integers, items: Integers, scores: Floats, count: int, size: int, catalogue: Catalogue, settings: RecommendersSettings
) -> Integers:
    if settings.diversity == 0 and settings.category_cap >= size:
        return topk.select_among(users, items, scores, count, size)[0]
    pool, values = topk.select_among(users, items, scores, count, min(_POOL * size, len(catalogue)))
    is_there = pool >= 0
    worst = np.where(is_there, values, np.inf).min(axis=1, keepdims=True)
    spread = np.maximum(values[:, :1] - worst, 1e-9)
    gains = np.where(is_there, (values - worst) / spread, -np.inf).astype(np.float32)
    vectors, categories = catalogue.content[pool], catalogue.categories[pool]
    everyone = np.arange(len(pool))
    closest = np.zeros(pool.shape, dtype=np.float32)
    counts = np.zeros(pool.shape, dtype=np.int64)  # things of the candidate's category placed so far
    chosen = np.full((len(pool), size), -1, dtype=np.int64)
    for place in range(size):
        is_full = (counts >= settings.category_cap) & (categories >= 0)
        worth = np.where(is_full, -np.inf, gains - np.float32(settings.diversity) * closest)
        best = worth.argmax(axis=1)
        is_found = worth[everyone, best] > -np.inf
        chosen[is_found, place] = pool[everyone, best][is_found]
        counts += is_found[:, None] & (categories == categories[everyone, best][:, None])
        gains[everyone[is_found], best[is_found]] = -np.inf
        if settings.diversity:
            closest = np.maximum(closest, np.einsum("upd,ud->up", vectors, vectors[everyone, best]))
    return _filled(chosen, users, items, scores, catalogue, settings.category_cap)


def _filled(chosen: Integers, users: Integers, items: Integers, scores: Floats, catalogue: Catalogue, cap: int) -> Integers:
    """`chosen`, its empty places given to the best of the other candidates, as far as the cap leaves their category room."""
    is_short = (chosen[:, -1] < 0)[users]
    if not is_short.any():
        return chosen
    users, items, scores = users[is_short], items[is_short], scores[is_short]
    is_placed, categories = _is_among(chosen, users, items, len(catalogue)), catalogue.categories[items]
    groups = users * (int(categories.max()) + 2) + categories
    order = np.lexsort((items, -scores, ~is_placed, groups))
    earlier = np.empty(len(order), dtype=np.int64)  # things of the candidate's category that are placed or score higher
    earlier[order] = np.arange(len(order)) - np.searchsorted(groups[order], groups[order])
    fits = ~is_placed & ((categories < 0) | (earlier < cap))
    more, _ = topk.select_among(users[fits], items[fits], scores[fits], *chosen.shape)
    both = np.hstack([chosen, more])
    return _closed_up(both, both < 0)[0][:, : chosen.shape[1]]


def _is_among(chosen: Integers, users: Integers, items: Integers, width: int) -> NDArray[np.bool_]:
    """Which pairs of a user's row and an item are `chosen` (users × places, -1: none)."""
    rows, places = np.nonzero(chosen >= 0)
    found: NDArray[np.bool_] = Lookup(rows * width + chosen[rows, places]).find(users * width + items) >= 0
    return found


def _closed_up(items: Integers, is_drawn: NDArray[np.bool_]) -> tuple[Integers, NDArray[np.bool_]]:
    """The same with empty places moved to the end."""
    order = np.argsort(items < 0, axis=1, kind="stable")
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(is_drawn, order, axis=1)
