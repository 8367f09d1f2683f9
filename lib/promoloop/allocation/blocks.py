"""Blocks of users on the executors as something that can be priced: one Spark job per pass (`mapInArrow` over packed blocks).

Blocks lie as Parquet in a scratch folder, so that executors and sessions may come and go, and a killed solve can go on.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.allocation import packing
from promoloop.allocation.packing import Layout, unpacked
from promoloop.allocation.pricing import Array, Block, choose
from promoloop.allocation.problem import Floats, Problem
from promoloop.allocation.rounding import Decision
from promoloop.allocation.scan import Answer, Question, answer, head, join, part_of, stack
from promoloop.errors import UserError

_DOUBLES_UP_TO = 5_000_000  # (user, promotion) pairs; beyond, blocks hold floats
_PARTS = 1000  # pieces that totals are split into, over all blocks
_PLANNED = "user_id string, promotion_id string, value double, cost double, reduced_value double, runner_up_id string, margin double"


@dataclass(frozen=True)
class BlockScan:
    """Packed blocks on the executors (`scan.Scan`); `order` gives each block's place, `parts` the pieces of each."""

    packed: DataFrame
    layout: Layout
    users: int
    order: dict[int, int]
    parts: int

    @classmethod
    def of(cls, values: DataFrame, promotions: tuple[str, ...], users: int, block_users: int, scratch: str) -> "BlockScan":
        """Pack `values` (user_id, promotion_id, value, cost, cell) into blocks under the folder `scratch`.

        `users`: about how many there are. Raises UserError naming a row whose value or cost is no number.
        """
        layout = Layout(max(1, -(-users // block_users)), promotions, users * len(promotions) <= _DOUBLES_UP_TO)
        numbers = values.sparkSession.createDataFrame(list(enumerate(promotions)), "promotion int, promotion_id string")
        packed = packing.pack(values.join(F.broadcast(numbers), "promotion_id"), layout)
        options = {"compression": "none", "parquet.enable.dictionary": "false"}
        packed.write.mode("overwrite").options(**options).parquet(scratch)
        return cls.opened(values.sparkSession, layout, scratch)

    @classmethod
    def opened(cls, spark: SparkSession, layout: Layout, scratch: str) -> "BlockScan":
        """Blocks packed before."""
        packed = spark.read.schema(packing.SCHEMA).parquet(scratch)
        found = sorted(packed.select("number", "users", "fault").collect())
        faults = sorted(row["fault"] for row in found if row["fault"])
        if faults:
            raise UserError(f"offer_scores cannot be planned with: {faults[0]}")
        order = {row["number"]: place for place, row in enumerate(found)}
        return cls(packed, layout, sum(row["users"] for row in found), order, max(1, _PARTS // max(len(found), 1)))

    def price(self, problem: Problem, questions: Sequence[Question]) -> list[Answer]:
        """One pass over all blocks: the answers to all questions, from one job."""
        asked, parts = list(questions), self.parts
        answers = self._from_each(lambda block: [answer(block, problem, question, parts) for question in asked])
        return [join([of_block[i] for of_block in answers]) for i in range(len(asked))]

    def sample(self, users: int) -> Block:
        """The first users of each block: users lie in hashed order, so these are an even draw."""
        share = min(1.0, users / max(self.users, 1))
        return stack(self._from_each(lambda block: head(block, share)))

    def plan(self, problem: Problem, decision: Decision) -> DataFrame:
        """The users who get an offer: user_id, promotion_id, value, cost, reduced_value, runner_up_id, margin; grain: user."""
        layout, order, parts = self.layout, self.order, self.parts

        def planned(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for i, block in enumerate(_blocks(batch, layout)):
                    option = option_of(block, problem, decision, parts, order[block.number])
                    yield _rows(batch.column("user_ids")[i].values, block, option, problem, decision.prices)

        return self.packed.select("number", "user_ids", "value", "cost", "cell").mapInArrow(planned, _PLANNED)

    def _from_each(self, ask: Callable[[Block], Any]) -> list[Any]:
        """What `ask` says of every block, in order of their numbers."""
        layout = self.layout

        def asked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for block in _blocks(batch, layout):
                    yield pa.RecordBatch.from_pydict({"number": pa.array([block.number], pa.int32()), "said": [pickle.dumps(ask(block))]})

        said = self.packed.select("number", "value", "cost", "cell").mapInArrow(asked, "number int, said binary").toArrow()
        return [pickle.loads(one.as_buffer()) for one in said.sort_by("number")["said"]]


def option_of(block: Block, problem: Problem, decision: Decision, parts: int, place: int) -> Array:
    """What each user of the block at `place` in the order of blocks gets (-1: nothing)."""
    option = choose(block, *problem.unit_prices(decision.prices)).option
    option[np.isin(part_of(block.users, parts) + place * parts, decision.dropped)] = -1
    own = decision.number == block.number
    option[decision.row[own]] = decision.option[own]
    return option


def _blocks(batch: pa.RecordBatch, layout: Layout) -> Iterator[Block]:
    number, value, cost, cell = (batch.column(name) for name in ("number", "value", "cost", "cell"))
    for i in range(batch.num_rows):
        yield unpacked(number[i].as_py(), value[i].as_buffer(), cost[i].as_buffer(), cell[i].as_buffer(), layout)


def _rows(user_ids: pa.Array, block: Block, option: Array, problem: Problem, prices: Floats) -> pa.RecordBatch:
    """The rows of `plan` of one block."""
    given = np.nonzero(option >= 0)[0]
    chosen, here, cell = option[given], np.arange(len(given)), block.cell[given]
    per_cost, per_count = problem.unit_prices(prices)
    value, cost = block.value[:, given].astype(np.float64), block.cost[:, given].astype(np.float64)
    reduced = np.vstack([value - per_cost[cell].T * cost - per_count[cell].T, np.zeros(len(given))])
    own = reduced[chosen, here]
    reduced[chosen, here] = -np.inf
    names = pa.array([*problem.promotions, None], pa.string())
    columns = [
        user_ids.take(pa.array(given)),
        names.take(pa.array(chosen)),
        pa.array(value[chosen, here]),
        pa.array(cost[chosen, here]),
        pa.array(own),
        names.take(pa.array(reduced.argmax(0) if len(given) else given)),
        pa.array(own - reduced.max(0, initial=-np.inf)),
    ]
    return pa.RecordBatch.from_arrays(columns, names=[part.split()[0] for part in _PLANNED.split(", ")])
