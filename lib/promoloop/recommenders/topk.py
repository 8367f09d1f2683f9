"""The exact k best of each row of a score matrix, without sorting or partitioning whole rows.

The k-th best of a row is bounded from below by the ⌈k/16⌉-th or so best of every 16th column; only the few entries above that
threshold are sorted. Where fewer than k pass, or far more (ties), the whole row is partitioned, so the answer is always exact.
Ties fall to the lower column, so the answer is the same however users are blocked.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_STRIDE = 16
_MANY = 16 * _STRIDE  # survivors per place of the sample; _STRIDE are usual


def select(scores: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """Columns and scores of the k best of each row, best first; -inf is never chosen: such places hold column -1.

    Returns arrays of shape rows × k.
    """
    rows, columns = scores.shape
    k_found = min(k, columns)
    if not rows or not k_found:
        return np.full((rows, k), -1, dtype=np.int64), np.full((rows, k), -np.inf, dtype=np.float32)
    at, column = survivors(scores, k_found)
    return select_among(at, column, scores[at, column], rows, k)


def select_among(at: NDArray[np.int64], column: NDArray[np.int64], score: Floats, rows: int, k: int) -> tuple[NDArray[np.int64], Floats]:
    """As `select`, of a matrix of which only the entries (row `at`, `column`, `score`) may be chosen; each is there once at most."""
    best = np.full((rows, k), -1, dtype=np.int64)
    values = np.full((rows, k), -np.inf, dtype=np.float32)
    order = np.lexsort((column, -score, at))
    at, column, score = at[order], column[order], score[order]
    place = np.arange(len(at)) - np.searchsorted(at, at)
    kept = (place < k) & (score > -np.inf)
    best[at[kept], place[kept]] = column[kept]
    values[at[kept], place[kept]] = score[kept]
    return best, values


def survivors(scores: Floats, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of entries that hold the k best of every row (k at most the columns) and few others, in that order."""
    columns = scores.shape[1]
    sample = scores[:, ::_STRIDE]
    place = -(-k // _STRIDE) + 3  # a few more than k / 16, so that a shortfall is rare
    if sample.shape[1] <= 2 * place:  # too narrow for a sample to say much
        last = np.partition(scores, columns - k, axis=1)[:, columns - k]
        return tuple(np.nonzero((scores >= last[:, None]) & (scores > -np.inf)))  # type: ignore[return-value]
    threshold = np.partition(sample, -place, axis=1)[:, -place]
    passes = scores >= threshold[:, None]
    counts = passes.sum(axis=1)
    for row in np.flatnonzero((counts < k) | (counts > _MANY * place)):  # a shortfall, or hosts of ties (often of -inf)
        _keep_exactly(passes[row], scores[row], k)
    at, column = np.divmod(np.flatnonzero(passes), columns)
    return at, column


def _keep_exactly(passes: NDArray[np.bool_], scores: Floats, k: int) -> None:
    """Set `passes` to the k best of one row, of equal ones the first."""
    last = np.partition(scores, len(scores) - k)[len(scores) - k]
    np.greater(scores, last, out=passes)
    tied = np.flatnonzero(scores == last) if last > -np.inf else np.empty(0, dtype=np.int64)
    passes[tied[: k - np.count_nonzero(passes)]] = True
