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
from promoloop.recommenders.arrays import Floats

_MOST_ROWS = 512


def per_user(users: DataFrame, item_factors: Floats, k: int, memory_mb: int, is_available: NDArray[np.bool_] | None = None) -> DataFrame:
    """One row per user (user_id, factors, optionally `without`: array of item indexes): `items` (array of indexes) and `scores`.

    Best first, ties to the lower index. Memory per task: `memory_mb` for scores, beside the item factors and Spark's own Arrow batch.
    """
    rows = max(1, min(_MOST_ROWS, memory_mb * 2**20 // (4 * 2 * len(item_factors))))
    columns = ["user_id", "factors", *(["without"] if "without" in users.columns else [])]
    transposed = np.ascontiguousarray(item_factors.T)
    sold_out = None if is_available is None else np.flatnonzero(~is_available)

    def best(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield _block(batch.slice(start, rows), transposed, k, sold_out)

    return users.select(*columns).mapInArrow(
        best, f"user_id {users.schema['user_id'].dataType.simpleString()}, items array<int>, scores array<float>"
    )


def _block(batch: pa.RecordBatch, transposed: Floats, k: int, sold_out: NDArray[np.int64] | None) -> pa.RecordBatch:
    factors = batch.column("factors").flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
    scores = factors.astype(np.float32, copy=False) @ transposed
    if sold_out is not None:
        scores[:, sold_out] = -np.inf
    if "without" in batch.schema.names:
        lists = batch.column("without")
        users = np.repeat(np.arange(batch.num_rows), pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))
        scores[users, lists.flatten().to_numpy(zero_copy_only=False)] = -np.inf
    items, values = topk.select(scores, k)
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
