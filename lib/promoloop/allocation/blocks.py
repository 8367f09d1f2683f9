"""Blocks of users on the executors as something that can be priced: one Spark job per pass (`mapInArrow` over packed blocks).

Blocks lie as Parquet in a scratch folder, so that executors and sessions may come and go, and a killed solve can go on.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import session
from promoloop.allocation import packing
from promoloop.allocation.packing import Layout, unpacked
from promoloop.allocation.pricing import Array, Block, choose
from promoloop.allocation.problem import Floats, Problem
from promoloop.allocation.rounding import Decision
from promoloop.allocation.scan import Answer, Question, answer, head, join, part_of, stack
from promoloop.errors import UserError

_PARTS = 1000  # pieces that totals are split into, over all blocks
_BLOCK = ("number", "value", "cost", "cell", "most")
_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
_PLANNED = "user_id string, promotion_id string, value double, cost double, reduced_value double, runner_up_id string, margin double"


@dataclass(frozen=True)
class BlockScan:
    """Packed blocks on the executors (`scan.Scan`); `order` gives each block's place, `parts` the pieces of each."""

    packed: DataFrame
    layout: Layout
    users: int
    order: dict[int, int]
    parts: int

    @staticmethod
    def write(values: DataFrame, layout: Layout, scratch: str) -> None:
        """Pack `values` (user_id, promotion_id, value, cost, cell, most) into blocks under the folder `scratch`."""
        numbers = values.sparkSession.createDataFrame(list(enumerate(layout.names)), "promotion int, promotion_id string")
        packed = packing.pack(values.join(F.broadcast(numbers), "promotion_id"), layout)
        options = {"compression": "none", "parquet.enable.dictionary": "false"}
        packed.write.mode("overwrite").options(**options).parquet(scratch)

    @staticmethod
    def erase(spark: SparkSession, scratch: str) -> bool:
        """Put no blocks in place of those under the folder `scratch`; return whether there were any."""
        try:
            spark.read.schema(packing.SCHEMA).parquet(scratch)
        except AnalysisException:  # no such folder
            return False
        spark.createDataFrame([], packing.SCHEMA).write.mode("overwrite").parquet(scratch)
        return True

    @classmethod
    def opened(cls, spark: SparkSession, layout: Layout, scratch: str) -> "BlockScan":
        """Blocks written before. Raises UserError naming a row whose value or cost is no number."""
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

    def users_by_cell(self, cells: int) -> Floats:
        """How many users there are of each kind."""
        counted = self._from_each(lambda block: np.bincount(block.cell, minlength=cells))
        return np.asarray(np.sum(counted, axis=0), dtype=np.float64)

    def plan(self, problem: Problem, decision: Decision) -> DataFrame:
        """The offers given: user_id, promotion_id, value, cost, reduced_value, runner_up_id, margin; grain: (user, promotion)."""
        layout, order, parts = self.layout, self.order, self.parts

        def planned(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for i, block in enumerate(_blocks(batch, layout)):
                    option = option_of(block, problem, decision, parts, order[block.number])
                    for slot in range(len(option)):
                        yield _rows(batch.column("user_ids")[i].values, block, option, slot, problem, decision.prices)

        return self.packed.select("user_ids", *_BLOCK).mapInArrow(planned, _PLANNED)

    def _from_each(self, ask: Callable[[Block], Any]) -> list[Any]:
        """What `ask` says of every block, in order of their numbers."""
        layout = self.layout

        def asked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for block in _blocks(batch, layout):
                    yield pa.RecordBatch.from_pydict({"number": pa.array([block.number], pa.int32()), "said": [pickle.dumps(ask(block))]})

        with session.options(self.packed.sparkSession, {_BATCH: "1"}):  # a block is megabytes: one is computed while the next comes
            said = self.packed.select(*_BLOCK).mapInArrow(asked, "number int, said binary").toArrow()
        return [pickle.loads(one.as_buffer()) for one in said.sort_by("number")["said"]]


def option_of(block: Block, problem: Problem, decision: Decision, parts: int, place: int) -> Array:
    """What each user of the block at `place` in the order of blocks gets: slots x users (-1: nothing)."""
    option = choose(block.shaken(decision.temperature), problem, decision.prices).option
    option[:, np.isin(part_of(block.users, parts) + place * parts, decision.dropped)] = -1
    own = decision.number == block.number
    option[:, decision.row[own]] = decision.option[:, own]
    return option


def _blocks(batch: pa.RecordBatch, layout: Layout) -> Iterator[Block]:
    number, *arrays = (batch.column(name) for name in _BLOCK)
    for i in range(batch.num_rows):
        value, cost, cell, most = (array[i].as_buffer() for array in arrays)
        yield unpacked(number[i].as_py(), value, cost, cell, most, layout)


def _rows(user_ids: pa.Array, block: Block, option: Array, slot: int, problem: Problem, prices: Floats) -> pa.RecordBatch:
    """The rows of `plan` of one block and slot; the runner-up is what the user could get beside their other offers."""
    given = np.nonzero(option[slot] >= 0)[0]
    chosen, here, part = option[slot, given], np.arange(len(given)), block.only(given)
    value, cost = part.value[chosen, here].astype(np.float64), part.cost[chosen, here].astype(np.float64)
    reduced = np.vstack([part.reduced(problem, prices), np.zeros(len(given))])
    own = reduced[chosen, here]
    reduced[chosen, here] = -np.inf
    for other in np.delete(option[:, given], slot, 0):
        taken = (problem.group_of[:, None] == problem.group_of[other]) & (other >= 0)
        reduced[:-1][taken] = -np.inf
    names = pa.array([*problem.promotions, None], pa.string())
    columns = [
        user_ids.take(pa.array(given)),
        names.take(pa.array(chosen)),
        pa.array(value),
        pa.array(cost),
        pa.array(own),
        names.take(pa.array(reduced.argmax(0) if len(given) else given)),
        pa.array(own - reduced.max(0, initial=-np.inf)),
    ]
    return pa.RecordBatch.from_arrays(columns, names=[part.split()[0] for part in _PLANNED.split(", ")])
