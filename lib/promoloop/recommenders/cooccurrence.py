"""Items that go together: cosine between items over users, each item's strongest neighbours.

w_ij = Σ_u h_ui h_uj / (|h_i| |h_j| + _SHRINKAGE),   h_ui = log(1 + strength) / sqrt(items of u): long histories say less per pair

Each task sums its users' products as a sparse matrix and hands on whole blocks of item rows; a pair of items is never a row of its own,
so the shuffle is as large as the blocks, not as the number of (user, item, item) triples.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from promoloop.recommenders import arrays
from promoloop.recommenders.arrays import Histories

_ROWS_PER_BLOCK = 256
_ENTRIES_PER_TASK = 20_000_000
_LONGEST = 100
_SHRINKAGE = 1e-3
SCHEMA = "item_index int, neighbours array<int>, weights array<float>"


def per_item(histories: DataFrame, count_items: int, neighbours: int) -> DataFrame:
    """One row per item with co-occurring items: at most `neighbours` of them, strongest first.

    `histories` as made by `interactions.histories`, of which each user's 100 strongest items are used; memory per task is bounded by the
    entries kept before they are handed on.
    """
    histories = histories.select(F.slice("history", 1, _LONGEST).alias("history"))

    def products(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total = sparse.csr_matrix((count_items, count_items), dtype=np.float32)
        for batch in batches:
            weights = of_users(arrays.flat(batch), count_items)
            total = total + weights.T @ weights
            if total.nnz > _ENTRIES_PER_TASK:
                yield _packed(total)
                total = sparse.csr_matrix((count_items, count_items), dtype=np.float32)
        yield _packed(total)

    norms = _norms(histories, count_items)

    def strongest(block: pa.Table) -> pa.Table:
        first = int(block["block"][0].as_py()) * _ROWS_PER_BLOCK
        rows, columns, sums = _unpacked(block, count_items)
        cosines = sums / (norms[first + rows] * norms[columns] + _SHRINKAGE)
        kept = (columns != first + rows) & (cosines > 0)
        return _strongest(first, min(_ROWS_PER_BLOCK, count_items - first), rows[kept], columns[kept], cosines[kept], neighbours)

    blocks = histories.mapInArrow(products, "block int, bytes binary")
    return blocks.groupBy("block").applyInArrow(strongest, SCHEMA)


def of_users(histories: Histories, count_items: int) -> sparse.csr_matrix:
    """h: users × items."""
    damped = np.log1p(histories.strengths) / np.sqrt(np.maximum(histories.lengths, 1))[histories.users]
    return sparse.csr_matrix((damped.astype(np.float32), histories.items, histories.offsets), shape=(len(histories), count_items))


def _norms(histories: DataFrame, count_items: int) -> NDArray[np.float32]:
    """|h_i| by item index; item-sized."""
    entries = histories.select(F.explode("history").alias("entry"), F.size("history").alias("_length"))
    squares = entries.groupBy(F.col("entry.item").alias("item")).agg(
        F.sum(F.pow(F.log1p("entry.strength"), 2) / F.col("_length")).alias("square")
    )
    table = squares.toArrow()
    norms = np.zeros(count_items, dtype=np.float32)
    norms[table["item"].to_numpy()] = np.sqrt(table["square"].to_numpy())
    return norms


def _packed(total: sparse.csr_matrix) -> pa.RecordBatch:
    """Blocks of rows as bytes: row within the block (u2), column (i4), value (f4), one after the other."""
    rows = sparse.csr_matrix(total)
    numbers, packed = [], []
    for block, start in enumerate(range(0, rows.shape[0], _ROWS_PER_BLOCK)):
        ends = rows.indptr[start : start + _ROWS_PER_BLOCK + 1]
        inside = slice(ends[0], ends[-1])
        if inside.start == inside.stop:
            continue
        row = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        numbers.append(block)
        packed.append(
            row.astype("<u2").tobytes() + rows.indices[inside].astype("<i4").tobytes() + rows.data[inside].astype("<f4").tobytes()
        )
    return pa.record_batch([pa.array(numbers, pa.int32()), pa.array(packed, pa.binary())], names=["block", "bytes"])


def _unpacked(block: pa.Table, count_items: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The block's sums over tasks: row within the block, column, sum, in that order.

    Parts are summed in the order of their content: floats add up the same in every run.
    """
    parts = sorted(block["bytes"].to_pylist())
    counts = [len(part) // 10 for part in parts]
    row = np.concatenate([np.frombuffer(part, "<u2", count) for part, count in zip(parts, counts, strict=True)])
    column = np.concatenate([np.frombuffer(part, "<i4", count, 2 * count) for part, count in zip(parts, counts, strict=True)])
    value = np.concatenate([np.frombuffer(part, "<f4", count, 6 * count) for part, count in zip(parts, counts, strict=True)])
    key = row.astype(np.int64) * count_items + column
    order = np.argsort(key, kind="stable")
    distinct, starts = np.unique(key[order], return_index=True)
    sums = np.add.reduceat(value[order].astype(np.float64), starts)
    return distinct // count_items, distinct % count_items, sums


def _strongest(
    first: int,
    count: int,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    weights: NDArray[np.float64],
    most: int,
) -> pa.Table:
    """SCHEMA of `count` items from index `first` on: of each row the `most` columns of most weight; equal ones in order."""
    order = np.lexsort((columns, -weights, rows))
    rows, columns, weights = rows[order], columns[order], weights[order]
    kept = np.arange(len(rows)) - np.searchsorted(rows, rows) < most
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=count))]).astype(np.int32)
    return pa.table(
        {
            "item_index": pa.array(np.arange(first, first + count, dtype=np.int32)),
            "neighbours": pa.ListArray.from_arrays(pa.array(offsets), pa.array(columns[kept].astype(np.int32))),
            "weights": pa.ListArray.from_arrays(pa.array(offsets), pa.array(weights[kept].astype(np.float32))),
        }
    )
