"""Synthetic instances of the allocation: packed blocks made on the executors, seeded by block; never held anywhere in full.

Values are log-normal by user, costs follow the depth of the promotion; the budget binds, and so do most stocks. `hard` adds a budget
to every promotion; `alike` makes every user the same, so that everything is a tie.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop.allocation import BlockScan, packing
from promoloop.allocation.packing import Layout
from promoloop.allocation.pricing import Block
from promoloop.allocation.problem import Problem, Resource

BLOCK_USERS = 20_000


def block(number: int, users: int, promotions: int, kind: np.dtype, is_alike: bool = False) -> Block:
    """Users of one block."""
    if is_alike:
        one = block(0, 1, promotions, kind)
        return Block(number, np.tile(one.value, (1, users)), np.tile(one.cost, (1, users)), np.zeros(users, np.int16))
    rng = np.random.default_rng([5, number, promotions])
    depth = np.linspace(0.05, 0.4, promotions)[:, None]
    base = rng.lognormal(2, 0.8, users)[None, :]
    shape = (promotions, users)
    value = base * rng.beta(2, 3, users)[None, :] * rng.gamma(2, 0.5, shape) * np.sqrt(depth)
    cost = base * depth * (0.3 + 0.7 * rng.random(shape))
    return Block(number, value.astype(kind), cost.astype(kind), np.zeros(users, np.int16))


def sizes(users: int) -> list[int]:
    """Users of each block."""
    count = max(1, -(-users // BLOCK_USERS))
    return [users // count + (1 if i < users % count else 0) for i in range(count)]


def problem(users: int, promotions: int, is_hard: bool, is_alike: bool = False) -> Problem:
    """Total budget, a stock for each promotion; where `is_hard` scarcer stocks, and a budget for each as well.

    Those budgets pay for fewer of the large baskets that stocks alone would go to, and for more than the smallest: so both bind.
    """
    mean = block(10**6, 20_000, promotions, np.dtype(np.float64), is_alike).cost.mean(1)
    rng = np.random.default_rng(11)
    stock = np.maximum(np.floor(users * (0.35 if is_hard else 0.6) / promotions * rng.uniform(0.3, 1.5, promotions)), 1)
    budget = mean * stock * rng.uniform(0.8, 1.2, promotions)
    total = 0.95 * budget.sum() if is_hard else mean.mean() * users * 0.2
    resources = [Resource("budget", "cost", float(total), np.ones(promotions))]
    for p, alone in enumerate(np.eye(promotions)):
        resources.append(Resource(f"inventory:p{p}", "count", float(stock[p]), alone))
        if is_hard:
            resources.append(Resource(f"budget:p{p}", "cost", float(budget[p]), alone))
    return Problem(tuple(f"p{p}" for p in range(promotions)), tuple(resources))


def scan(spark: SparkSession, users: int, promotions: int, folder: Path, is_alike: bool = False) -> BlockScan:
    """The instance's blocks, written to `folder` and opened."""
    layout = Layout(len(sizes(users)), tuple(f"p{p}" for p in range(promotions)), users * promotions <= 5_000_000)
    each = sizes(users)

    def made(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                one = block(number, each[number], promotions, layout.kind, is_alike)
                ids = [f"u{number}-{i}" for i in range(one.users)]
                row = {"number": number, "users": one.users, "user_ids": ids, "fault": None}
                row |= {"value": one.value.tobytes(), "cost": one.cost.tobytes(), "cell": one.cell.tobytes()}
                row["most"] = np.ones(one.users, np.int8).tobytes()
                yield pa.RecordBatch.from_pylist([row], _SCHEMA)

    count = len(each)
    made_blocks = spark.range(0, count, 1, min(count, 64)).withColumn("id", F.col("id").cast("int")).mapInArrow(made, packing.SCHEMA)
    options = {"compression": "none", "parquet.enable.dictionary": "false"}
    made_blocks.write.mode("overwrite").options(**options).parquet(str(folder))
    return BlockScan.opened(spark, layout, str(folder))


_SCHEMA = pa.schema(
    [("number", pa.int32()), ("users", pa.int32()), ("user_ids", pa.list_(pa.string()))]
    + [(name, pa.binary()) for name in ("value", "cost", "cell", "most")]
    + [("fault", pa.string())]
)
