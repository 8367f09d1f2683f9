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

from promoloop.recommenders import arrays, topk
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
        total = _unpacked(block, count_items)
        first = int(block["block"][0].as_py()) * _ROWS_PER_BLOCK
        cosines = total / (norms[first : first + len(total), None] * norms[None, :] + _SHRINKAGE)
        cosines[np.arange(len(total)), first + np.arange(len(total))] = 0
        cosines[cosines <= 0] = -np.inf
        best, values = topk.select(cosines.astype(np.float32), neighbours)
        return _listed(first, best, values)

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
    numbers, packed = [], []
    coo = sparse.csr_matrix(total).tocoo()
    block_of = coo.row // _ROWS_PER_BLOCK
    for block in np.unique(block_of):
        inside = block_of == block
        row, column, value = coo.row[inside] % _ROWS_PER_BLOCK, coo.col[inside], coo.data[inside]
        numbers.append(block)
        packed.append(row.astype("<u2").tobytes() + column.astype("<i4").tobytes() + value.astype("<f4").tobytes())
    return pa.record_batch([pa.array(numbers, pa.int32()), pa.array(packed, pa.binary())], names=["block", "bytes"])


def _unpacked(block: pa.Table, count_items: int) -> NDArray[np.float64]:
    """The block's sum over tasks, dense. Parts are summed in the order of their content: floats add up the same in every run."""
    first = int(block["block"][0].as_py()) * _ROWS_PER_BLOCK
    total = np.zeros((min(_ROWS_PER_BLOCK, count_items - first), count_items))
    for part in sorted(block["bytes"].to_pylist()):
        count = len(part) // 10
        row = np.frombuffer(part, "<u2", count)
        column = np.frombuffer(part, "<i4", count, 2 * count)
        total[row, column] += np.frombuffer(part, "<f4", count, 6 * count)
    return total


def _listed(first: int, best: NDArray[np.int64], values: NDArray[np.float32]) -> pa.Table:
    rows, places = np.nonzero(best >= 0)
    offsets = np.concatenate([[0], np.cumsum((best >= 0).sum(axis=1))]).astype(np.int32)
    return pa.table(
        {
            "item_index": pa.array(np.arange(first, first + len(best), dtype=np.int32)),
            "neighbours": pa.ListArray.from_arrays(pa.array(offsets), pa.array(best[rows, places].astype(np.int32))),
            "weights": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[rows, places])),
        }
    )
