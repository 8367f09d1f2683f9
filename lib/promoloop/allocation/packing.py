"""Offer scores packed into blocks: one row per block of users, their values and costs as flat arrays, promotion by promotion.

Users are dealt to blocks, and ordered within them, by a hash of their id: any prefix of a block is a random sample of users,
and neither partitioning nor the order of the scores changes what lies where.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop.allocation.pricing import Block

_MOST_TASKS = 64
_DOUBLES_UP_TO = 5_000_000  # (user, promotion) pairs; beyond, blocks hold floats
SCHEMA = T.StructType(
    [
        T.StructField("number", T.IntegerType(), False),
        T.StructField("users", T.IntegerType(), False),
        T.StructField("user_ids", T.ArrayType(T.StringType()), False),
        T.StructField("value", T.BinaryType(), False),
        T.StructField("cost", T.BinaryType(), False),
        T.StructField("cell", T.BinaryType(), False),
        T.StructField("most", T.BinaryType(), False),
        T.StructField("fault", T.StringType(), True),
    ]
)


@dataclass(frozen=True)
class Layout:
    """How blocks are laid out: how many, the promotions in order, and whether numbers are doubles (small problems) or floats."""

    blocks: int
    names: tuple[str, ...]
    is_double: bool

    @classmethod
    def of(cls, names: tuple[str, ...], users: int, block_users: int) -> "Layout":
        """The layout for about so many users."""
        return cls(max(1, -(-users // block_users)), names, users * len(names) <= _DOUBLES_UP_TO)

    @property
    def promotions(self) -> int:
        """How many promotions there are."""
        return len(self.names)

    @property
    def kind(self) -> np.dtype:
        """The number type of value and cost."""
        return np.dtype(np.float64 if self.is_double else np.float32)


def pack(valued: DataFrame, layout: Layout) -> DataFrame:
    """One row per block (SCHEMA) from one row per (user_id, promotion, value, cost, cell, most); `promotion` and `cell` are numbers.

    A value or cost that is missing, NaN or infinite makes the block's `fault` name the row's key.
    """
    hashed = F.xxhash64("user_id")
    placed = valued.withColumn("_hash", hashed).withColumn("_block", F.pmod("_hash", F.lit(layout.blocks)).cast("int"))
    ordered = placed.repartition(min(layout.blocks, _MOST_TASKS), "_block").sortWithinPartitions("_block", "_hash", "user_id", "promotion")
    rows = ordered.select("_block", "user_id", "promotion", "value", "cost", "cell", "most")
    return rows.mapInArrow(_packer(layout), SCHEMA)


def _packer(layout: Layout) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: list[pa.Table] = []
        for batch in batches:
            for table in _by_block(pa.Table.from_batches([batch])):
                if held and held[0]["_block"][0] != table["_block"][0]:
                    yield _packed(pa.concat_tables(held), layout)
                    held = []
                held.append(table)
        if held:
            yield _packed(pa.concat_tables(held), layout)

    return run


def _by_block(table: pa.Table) -> Iterator[pa.Table]:
    """The rows of each block; rows come sorted by block."""
    numbers = table["_block"].to_numpy()
    edges = [0, *(np.nonzero(np.diff(numbers))[0] + 1), len(numbers)]
    for start, end in itertools.pairwise(edges):
        if end > start:
            yield table.slice(start, end - start)


def _packed(table: pa.Table, layout: Layout) -> pa.RecordBatch:
    ids = table["user_id"].combine_chunks()
    encoded = ids.dictionary_encode()
    user = encoded.indices.to_numpy()  # in order of appearance: rows come sorted by user
    promotion = table["promotion"].to_numpy()
    value, cost = table["value"].to_numpy().astype(np.float64), table["cost"].to_numpy().astype(np.float64)
    bad = np.nonzero(~(np.isfinite(value) & np.isfinite(cost)))[0]
    fault = f"user {ids[bad[0]].as_py()}, promotion {layout.names[promotion[bad[0]]]} (value or cost is not a number)" if len(bad) else None
    shape = (layout.promotions, len(encoded.dictionary))
    values, costs = np.full(shape, -np.inf, layout.kind), np.zeros(shape, layout.kind)
    values[promotion, user] = value
    costs[promotion, user] = _rounded_up(cost, layout.kind)
    cell, most = np.zeros(shape[1], np.int16), np.zeros(shape[1], np.int8)
    cell[user], most[user] = table["cell"].to_numpy(), table["most"].to_numpy()
    torn = np.nonzero(cell[user] != table["cell"].to_numpy())[0]
    if len(torn):
        fault = f"user {ids[torn[0]].as_py()} (segment, region or channel differ between their promotions, and a limit looks at them)"
    columns = [
        pa.array([table["_block"][0].as_py()], pa.int32()),
        pa.array([shape[1]], pa.int32()),
        pa.array([encoded.dictionary.to_pylist()], pa.list_(pa.string())),
        *(pa.array([array.tobytes()], pa.binary()) for array in (values, costs, cell, most)),
        pa.array([fault], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=SCHEMA.names)


def _rounded_up(cost: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Costs in `kind`, never below the double they came from: a plan within a budget stays within it in doubles."""
    near = cost.astype(kind)
    return np.where(near.astype(np.float64) < cost, np.nextafter(near, kind.type(np.inf)), near)


def unpacked(number: int, value: bytes, cost: bytes, cell: bytes, most: bytes, layout: Layout) -> Block:
    """A block from its packed columns; the arrays share the bytes' memory."""
    cells = np.frombuffer(cell, np.int16)
    shape = (layout.promotions, len(cells))
    values, costs = (np.frombuffer(packed, layout.kind).reshape(shape) for packed in (value, cost))
    return Block(number, values, costs, cells, np.frombuffer(most, np.int8))
