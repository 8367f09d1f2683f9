"""Factors of a user from a history, in closed form, and how much each entry of it adds to a score.

    x_u = A_u^-1 Σ_j (1 + α r_uj) y_j        A_u = YᵀY + α Σ_j r_uj y_j y_jᵀ + λ n_u I
    x_u · y_i = Σ_j (1 + α r_uj) · y_iᵀ A_u^-1 y_j         (Hu, Koren, Volinsky 2008, section 5: the sum's terms explain the score)

Y: item factors, r_uj: strength of user u for item j, n_u: items in the history, λ: regularisation, α: confidence per strength.
With MLlib's item factors this gives MLlib's user factors.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from promoloop.recommenders import topk
from promoloop.recommenders.arrays import Floats, Histories, Integers

_ALIKE = 20
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
        cosines = content[is_cold] @ content[warm].T
        alike, cosine = topk.select(cosines, min(_ALIKE, len(warm)))
        weights = np.square(np.maximum(cosine, 0))
        totals = weights.sum(axis=1, keepdims=True)
        items = self.items.copy()
        items[is_cold] = np.einsum("ij,ijr->ir", weights, self.items[warm[alike]]) / (totals + _SHRINKAGE)
        return replace(self, items=items)


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
    """For the users' chosen `items` (users × k, -1: none): the item of the history that adds most to each score, -1 where none does."""
    best = np.full(items.shape, -1, dtype=np.int64)
    for row in range(len(histories)):
        entry = slice(histories.offsets[row], histories.offsets[row + 1])
        own = histories.items[entry]
        chosen = np.flatnonzero(items[row] >= 0)
        if not len(own) or not len(chosen):
            continue
        weighted = np.linalg.solve(matrices[row], factors.items[items[row, chosen]].T.astype(np.float64))
        added = (factors.items[own] @ weighted) * (1 + factors.alpha * histories.strengths[entry, None])
        top = added.argmax(axis=0)
        best[row, chosen] = np.where(added[top, np.arange(len(chosen))] > 0, own[top], -1)
    return best
