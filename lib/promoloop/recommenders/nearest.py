"""The exact k best items by inner product for very many users: blocks of user factors against the item factors of every task.

What MLlib's `recommendForAllUsers` gives, in one pass without a shuffle: a block's product, then `topk.select`, with sold-out items and
each user's own exclusions left out on the way.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from promoloop.recommenders import topk
from promoloop.recommenders.arrays import Floats, Integers

_MOST_ROWS = 512
_BYTES = 8  # per score at the worst moment: the score, whether it passes, and the sample of them


def rows_at_once(count_items: int, memory_mb: int) -> int:
    """Users scored at once so that their scores fit into `memory_mb`."""
    return max(1, min(_MOST_ROWS, memory_mb * 2**20 // (_BYTES * max(count_items, 1))))


def per_user(users: DataFrame, item_factors: Floats, k: int, memory_mb: int, is_available: NDArray[np.bool_] | None = None) -> DataFrame:
    """One row per user (user_id, factors, optionally `without`: array of item indexes): `items` (array of indexes) and `scores`.

    Best first, ties to the lower index. Memory per task: `memory_mb` for scores, beside the item factors and Spark's own Arrow batch.
    """
    rows = rows_at_once(len(item_factors), memory_mb)
    columns = ["user_id", "factors", *(["without"] if "without" in users.columns else [])]
    transposed = np.ascontiguousarray(item_factors.T)
    sold_out = np.empty(0, dtype=np.int64) if is_available is None else np.flatnonzero(~is_available)

    def lists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield _block(batch.slice(start, rows), transposed, k, sold_out)

    return users.select(*columns).mapInArrow(
        lists, f"user_id {users.schema['user_id'].dataType.simpleString()}, items array<int>, scores array<float>"
    )


def best(users: Floats, transposed: Floats, k: int, sold_out: Integers, without: tuple[Integers, Integers]) -> tuple[Integers, Floats]:
    """Items and scores of the k best of each row of `users` (users × k; -1 and -inf where there are no more), best first.

    `transposed`: factors × items; `sold_out`: items nobody gets; `without`: (user, item) pairs left out.
    """
    scores = users @ transposed
    scores[:, sold_out] = -np.inf
    scores[without] = -np.inf
    return topk.select(scores, k)


def _block(batch: pa.RecordBatch, transposed: Floats, k: int, sold_out: Integers) -> pa.RecordBatch:
    factors = batch.column("factors").flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
    items, values = best(factors.astype(np.float32, copy=False), transposed, k, sold_out, _excluded(batch))
    is_there = items >= 0
    offsets = pa.array(np.concatenate([[0], np.cumsum(is_there.sum(axis=1))]).astype(np.int32))
    return pa.record_batch(
        [
            batch.column("user_id"),
            pa.ListArray.from_arrays(offsets, pa.array(items[is_there].astype(np.int32))),
            pa.ListArray.from_arrays(offsets, pa.array(values[is_there])),
        ],
        names=["user_id", "items", "scores"],
    )


def _excluded(batch: pa.RecordBatch) -> tuple[Integers, Integers]:
    """Row and item of each exclusion."""
    if "without" not in batch.schema.names:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    lists = batch.column("without")
    rows = np.repeat(np.arange(batch.num_rows), pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))
    return rows, lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
