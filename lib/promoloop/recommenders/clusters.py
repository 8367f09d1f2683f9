"""Two-level top-k for large catalogues: cluster the items, look only into each user's best clusters, exactly there.

    1. k-means over the items' vectors, sqrt(items) clusters, learned on a sample of them.
    2. A user looks into the `probes` clusters with the largest x · c, and scores the items there alone.

So a user costs about (probes + 1) · sqrt(items) products instead of as many as there are items. What is missed are items of clusters
not looked into: `recall` measures that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promoloop.recommenders import topk
from promoloop.recommenders.arrays import Floats, Integers, Lookup

_ROUNDS = 10
_LEARNED_ON = 64  # items per cluster
_ROWS = 4096


@dataclass(frozen=True)
class Clusters:
    """Centroids (clusters × width), and the items by cluster: those of cluster c are members[offsets[c] : offsets[c + 1]]."""

    centroids: Floats
    members: Integers
    offsets: Integers


def split(vectors: Floats, count: int, seed: int) -> Clusters:
    """`count` clusters of the rows of `vectors` by Lloyd's k-means (some may stay empty); the same for the same seed."""
    drawn = np.random.default_rng(seed).permutation(len(vectors))[: count * _LEARNED_ON]
    sample = vectors[drawn]
    centroids = sample[:count].copy()
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, centroids)
        counts = np.bincount(nearest, minlength=len(centroids))
        order = np.argsort(nearest, kind="stable")
        is_used = counts > 0
        starts = np.concatenate([[0], np.cumsum(counts)])[:-1][is_used]
        centroids[is_used] = np.add.reduceat(sample[order], starts, axis=0) / counts[is_used, None]
    of_items = _nearest(vectors, centroids)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(of_items, minlength=len(centroids)))])
    return Clusters(centroids, np.argsort(of_items, kind="stable"), offsets.astype(np.int64))


def best(
    users: Floats,
    items: Floats,
    clusters: Clusters,
    k: int,
    probes: int,
    is_available: NDArray[np.bool_],
    without: tuple[Integers, Integers],
) -> tuple[Integers, Floats]:
    """As `nearest.best`, among the items of each user's `probes` best clusters."""
    probed, _ = topk.select(users @ clusters.centroids.T, min(probes, len(clusters.centroids)))
    order = np.argsort(probed.ravel(), kind="stable")
    numbers, starts = np.unique(probed.ravel()[order], return_index=True)
    looking = np.split(order // probed.shape[1], starts[1:])
    most = k + int(np.bincount(without[0], minlength=1).max())
    at, column, score = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for number, whom in zip(numbers, looking, strict=True):
        members = clusters.members[clusters.offsets[number] : clusters.offsets[number + 1]]
        members = members[is_available[members]]
        if not len(members):
            continue
        scores = users[whom] @ items[members].T
        rows, places = topk.survivors(scores, min(most, len(members)))
        at.append(whom[rows])
        column.append(members[places])
        score.append(scores[rows, places])
    of_users, columns, values = np.concatenate(at), np.concatenate(column), np.concatenate(score)
    is_open = Lookup(without[0] * len(items) + without[1]).find(of_users * len(items) + columns) < 0
    return topk.select_among(of_users[is_open], columns[is_open], values[is_open], len(users), k)


def _nearest(vectors: Floats, centroids: Floats) -> Integers:
    """The nearest centroid of each row."""
    halves = np.square(centroids).sum(axis=1) / 2
    parts = [(vectors[start : start + _ROWS] @ centroids.T - halves).argmax(axis=1) for start in range(0, len(vectors), _ROWS)]
    return np.concatenate(parts).astype(np.int64)
