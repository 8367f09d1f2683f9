"""Factors of a user from a history, in closed form, and how much each entry of it adds to a score.

    x_u = A_u^-1 Σ_j (1 + α r_uj) y_j        A_u = YᵀY + α Σ_j r_uj y_j y_jᵀ + λ n_u I
    x_u · y_i = Σ_j (1 + α r_uj) · y_iᵀ A_u^-1 y_j         (Hu, Koren, Volinsky 2008, section 5: the sum's terms explain the score)

Y: item factors, r_uj: strength of user u for item j, n_u: items in the history, λ: regularisation, α: confidence per strength.
With MLlib's item factors this gives MLlib's user factors.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from promoloop.recommenders import clusters, topk
from promoloop.recommenders.arrays import Floats, Histories, Integers

_ALIKE = 20
_MANY_COSINES = 50_000_000
_PROBES = 8
_ROWS = 512
_SEED = 1
_SHRINKAGE = 1.0  # as one item that is like nothing


@dataclass(frozen=True)
class Factors:
    """Item factors by item index (a zero row: nothing known), with what folding needs of them."""

    items: Floats
    gram: Floats
    alpha: float
    regularisation: float

    @classmethod
    def of(cls, items: Floats, alpha: float, regularisation: float) -> "Factors":
        """Factors with their Gram matrix YᵀY."""
        return cls(items, (items.T.astype(np.float64) @ items).astype(np.float32), alpha, regularisation)

    def filled(self, content: Floats) -> "Factors":
        """Items without factors take those of the items most like them in `content` (unit rows), weighted by squared cosine and shrunk.

        The Gram matrix stays that of the trained items: what was never offered says nothing about users by not being taken.
        """
        is_cold = ~self.items.any(axis=1)
        if not is_cold.any() or is_cold.all():
            return self
        warm = np.flatnonzero(~is_cold)
        cold, items, known = np.flatnonzero(is_cold), self.items.copy(), content[warm]
        parts = clusters.split(known, math.isqrt(len(warm)), _SEED) if len(cold) * len(warm) > _MANY_COSINES else None
        at_once = _ROWS if parts is None else 8 * _ROWS  # clusters keep little of it at a time
        for start in range(0, len(cold), at_once):
            rows = cold[start : start + at_once]
            alike, cosine = _most_alike(content[rows], known, parts)
            weights = np.where(alike >= 0, np.square(np.maximum(cosine, 0)), 0)
            totals = weights.sum(axis=1, keepdims=True)
            items[rows] = np.einsum("ij,ijr->ir", weights, self.items[warm[alike]]) / (totals + _SHRINKAGE)
        return replace(self, items=items)


def _most_alike(cold: Floats, known: Floats, parts: clusters.Clusters | None) -> tuple[Integers, Floats]:
    """The rows of `known` of largest cosine with each of `cold`, and the cosines; in the best clusters alone where there are `parts`."""
    if parts is None:
        return topk.select(cold @ known.T, _ALIKE)
    nothing = np.empty(0, dtype=np.int64)
    return clusters.best(cold, known, parts, _ALIKE, _PROBES, np.ones(len(known), dtype=bool), (nothing, nothing))


def systems(histories: Histories, factors: Factors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per user the matrix A_u and the right-hand side. Items without factors count for nothing."""
    rank = factors.items.shape[1]
    matrices = np.repeat(factors.gram[None].astype(np.float64), len(histories), axis=0)
    rights = np.zeros((len(histories), rank))
    for row in range(len(histories)):
        entry = slice(histories.offsets[row], histories.offsets[row + 1])
        vectors = factors.items[histories.items[entry]].astype(np.float64)
        confidence = factors.alpha * histories.strengths[entry].astype(np.float64)
        known = int(np.count_nonzero(vectors.any(axis=1)))
        matrices[row] += vectors.T @ (vectors * confidence[:, None])
        matrices[row].flat[:: rank + 1] += factors.regularisation * max(known, 1) + 1e-9
        rights[row] = vectors.T @ (1 + confidence)
    return matrices, rights


def fold_in(histories: Histories, factors: Factors) -> tuple[Floats, NDArray[np.float64]]:
    """User factors, one row per history, and the matrices A_u they were solved from."""
    matrices, rights = systems(histories, factors)
    return np.linalg.solve(matrices, rights[..., None])[..., 0].astype(np.float32), matrices


def strongest_evidence(histories: Histories, factors: Factors, matrices: NDArray[np.float64], items: Integers) -> Integers:
    """For the users' chosen `items` (users × k, -1: none): the two items of the history that add most to each score (users × k × 2).

    -1 where none adds anything, and in the second place where the second adds less than half as much as the first.
    """
    best = np.full((*items.shape, 2), -1, dtype=np.int64)
    for row in range(len(histories)):
        entry = slice(histories.offsets[row], histories.offsets[row + 1])
        own = histories.items[entry]
        chosen = np.flatnonzero(items[row] >= 0)
        if not len(own) or not len(chosen):
            continue
        weighted = np.linalg.solve(matrices[row], factors.items[items[row, chosen]].T.astype(np.float64))
        added = (factors.items[own] @ weighted) * (1 + factors.alpha * histories.strengths[entry, None])
        top = np.argsort(-added, axis=0, kind="stable")[:2]
        most = np.take_along_axis(added, top, axis=0)
        counts = (most > 0) & (most >= most[:1] / 2)
        best[row, chosen, : len(top)] = np.where(counts, own[top], -1).T
    return best
