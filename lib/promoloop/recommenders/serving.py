"""Lists for users: one pass over their histories, block by block, with the catalogue in every task (`mapInArrow`)."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.recommenders import arrays, candidates, folding, ranker, reasons, rules
from promoloop.recommenders.arrays import Floats, Integers
from promoloop.recommenders.catalogue import ALL, Catalogue, cell
from promoloop.recommenders.ranker import PARTS, Ranker
from promoloop.settings.learning import RecommendersSettings

SCHEMA = "user_id string, rank int, item_id string, score double, parts map<string,double>, reason string"
SCHEMA_OF_EVERY_RANK = f"{SCHEMA}, is_gone boolean"


def with_histories(users: DataFrame, histories: DataFrame, popularity_by: Sequence[str]) -> DataFrame:
    """user_id, cell and history of every user; null history where there is none."""
    return users.select("user_id", cell(popularity_by).alias("cell")).join(histories, "user_id", "left")


def recommend(
    users: DataFrame, catalogue: Catalogue, judge: Ranker, settings: RecommendersSettings, seed: int, has_every_rank: bool = False
) -> DataFrame:
    """The list of each user of `users` (user_id, cell, history): one row per user and rank, in SCHEMA.

    Draws to explore are hashed from user and `seed`. Only one score matrix of a block of users lives at a time, bounded by `memory_mb`.
    With `has_every_rank` the ranks that a list does not reach have rows too, of nulls, where `is_gone`.
    """
    rows = candidates.rows_at_once(catalogue, settings.memory_mb)

    def lists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                part = batch.slice(start, rows)
                listed, items = _block(part, catalogue, judge, settings)
                if has_every_rank:
                    yield _told(listed, False)
                    yield _told(_unreached(listed.schema, part.column("user_id"), items), True)
                else:
                    yield listed

    hashed = users.select("user_id", "cell", "history", F.xxhash64("user_id", F.lit(seed)).alias("hash"))
    return hashed.mapInArrow(lists, SCHEMA_OF_EVERY_RANK if has_every_rank else SCHEMA)


def cells(batch: pa.RecordBatch, catalogue: Catalogue) -> Integers:
    """Row of the popularity matrix for each user; everybody's for a cell never seen."""
    known = pc.index_in(batch.column("cell"), value_set=pa.array(catalogue.cells))
    rows: Integers = pc.fill_null(known, catalogue.cells.index(ALL)).to_numpy(zero_copy_only=False).astype(np.int64)
    return rows


def _block(batch: pa.RecordBatch, catalogue: Catalogue, judge: Ranker, settings: RecommendersSettings) -> tuple[pa.RecordBatch, Integers]:
    """Rows of SCHEMA, and the items behind them by user and place (-1: none)."""
    histories = arrays.flat(batch)
    proposed = candidates.propose(histories, cells(batch, catalogue), catalogue, settings)
    pairs, inputs = proposed.pairs, ranker.inputs(proposed, catalogue)
    is_listed = rules.may_be_listed(pairs, histories, catalogue, settings)
    scores = np.where(is_listed, judge.score(inputs), np.float32(-np.inf))
    items, is_drawn = rules.lists(pairs.users, pairs.items, scores, batch.column("hash").to_numpy(), catalogue, settings)
    evidence = folding.strongest_evidence(histories, catalogue.factors, proposed.matrices, items)
    users, places = np.nonzero(items >= 0)
    chosen = items[users, places]
    at = np.searchsorted(pairs.users * len(catalogue) + pairs.items, users * len(catalogue) + chosen)
    parts = judge.parts(inputs[at])
    listed = pa.record_batch(
        [
            batch.column("user_id").take(pa.array(users)),
            pa.array((places + 1).astype(np.int32)),
            catalogue.item_ids.take(pa.array(chosen)),
            pa.array(np.round(scores[at].astype(np.float64), 6)),
            _map(parts),
            reasons.write(histories, catalogue, users, chosen, evidence[users, places], parts, is_drawn[users, places]),
        ],
        names=["user_id", "rank", "item_id", "score", "parts", "reason"],
    )
    return listed, items


def _unreached(schema: pa.Schema, user_ids: pa.Array, items: Integers) -> pa.RecordBatch:
    """A row of nulls for each place without an item."""
    users, places = np.nonzero(items < 0)
    keys = [user_ids.take(pa.array(users)), pa.array((places + 1).astype(np.int32))]
    return pa.record_batch([*keys, *(pa.nulls(len(users), kind) for kind in schema.types[2:])], schema=schema)


def _told(rows: pa.RecordBatch, is_gone: bool) -> pa.RecordBatch:
    return rows.append_column("is_gone", pa.array(np.full(rows.num_rows, is_gone)))


def _map(parts: dict[str, Floats]) -> pa.Array:
    rows = len(next(iter(parts.values())))
    values = np.round(np.column_stack([parts[name] for name in PARTS]).astype(np.float64), 6).ravel()
    offsets = np.arange(0, rows * len(PARTS) + 1, len(PARTS), dtype=np.int32)
    return pa.MapArray.from_arrays(pa.array(offsets), pa.array(list(PARTS) * rows, pa.string()), pa.array(values))
