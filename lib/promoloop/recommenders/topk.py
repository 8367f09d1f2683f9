"""The exact k best of each row of a score matrix, without sorting or partitioning whole rows.

The k-th best of a row is bounded from below by the ⌈k/16⌉-th or so best of every 16th column; only the few entries above that
threshold are sorted. Where fewer than k pass, the whole row is partitioned, so the answer is always exact.
Ties fall to the lower column, so the answer is the same however users are blocked.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_STRIDE = 16


def select(scores: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """Columns and scores of the k best of each row, best first; -inf is never chosen: such places hold column -1.

    Returns arrays of shape rows × k.
    """
    rows, columns = scores.shape
    k_found = min(k, columns)
    best = np.full((rows, k), -1, dtype=np.int64)
    values = np.full((rows, k), -np.inf, dtype=np.float32)
    if not rows or not k_found:
        return best, values
    at, column = _survivors(scores, k_found)
    score = scores[at, column]
    order = np.lexsort((column, -score, at))
    at, column, score = at[order], column[order], score[order]
    place = np.arange(len(at)) - np.searchsorted(at, at)
    kept = (place < k_found) & (score > -np.inf)
    best[at[kept], place[kept]] = column[kept]
    values[at[kept], place[kept]] = score[kept]
    return best, values


def _survivors(scores: Floats, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions that hold the k best of every row, and few others; a row's are complete down to its threshold."""
    columns = scores.shape[1]
    sample = scores[:, ::_STRIDE]
    place = -(-k // _STRIDE) + 3  # a few more than k / 16, so that a shortfall is rare
    if sample.shape[1] <= 2 * place:
        return tuple(np.nonzero(np.ones(scores.shape, dtype=bool)))  # type: ignore[return-value]
    threshold = np.partition(sample, -place, axis=1)[:, -place]
    passes = scores >= threshold[:, None]
    short = np.flatnonzero(passes.sum(axis=1) < k)
    if len(short):
        passes[short] = scores[short] >= np.partition(scores[short], columns - k, axis=1)[:, [columns - k]]
    at, column = np.divmod(np.flatnonzero(passes), columns)
    return at, column
