"""Promotions recommended: the few each user is likeliest to want, so that thousands need not be valued for every user.

    interest[u, p] = Σ_{i in scope of p} exp(score[u, i])  /  Σ_i exp(score[u, i])  ·  lift of p

score: of the serving ranker, log-odds that u takes i next, over u's candidates in stock; so interest is the share of what u would take
next that lies in the promotion's scope. lift, at most 1, is how much the promotion gives per money of in-scope spend (a rate of 30 % or
more counts fully, a gift that costs the shop nothing a twentieth), which breaks the tie between two promotions of one scope.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from scipy import sparse

from promoloop.recommenders import arrays, candidates, ranker, serving, topk
from promoloop.recommenders.arrays import Floats
from promoloop.recommenders.catalogue import Catalogue
from promoloop.recommenders.ranker import Ranker
from promoloop.settings.learning import RecommendersSettings

SCHEMA = "user_id string, rank int, promotion_id string, interest double"
_FULL_RATE = 0.3
_LEAST_LIFT = 0.05
_SCOPE = ("scope_category", "scope_brand", "scope_item_ids")


@dataclass(frozen=True)
class Scopes:
    """Promotions by column: items in scope (items × promotions), whether it is the whole shop, whom it is for ("": all), the lift."""

    promotion_ids: pa.Array
    holds: sparse.csr_matrix
    is_whole: NDArray[np.bool_]
    segments: NDArray[np.str_]
    lifts: Floats


def candidates_of(
    users: DataFrame,
    catalogue: Catalogue,
    judge: Ranker,
    promotions: DataFrame,
    pairs: DataFrame,
    segments: DataFrame,
    settings: RecommendersSettings,
) -> DataFrame:
    """`recommend` where `promotions` (the open ones) are more than `promotion_candidates`; no rows where all can be valued for everybody.

    `pairs` (promotion_id, item_id) as of `scopes`; `segments`: user_id, segment, what a promotion's target_segment is held against.
    """
    if promotions.count() <= settings.promotion_candidates:
        return users.sparkSession.createDataFrame([], SCHEMA)
    described = users.join(segments.select("user_id", "segment"), "user_id", "left")
    return recommend(described, catalogue, judge, scopes(pairs, promotions, catalogue), settings.promotion_candidates, settings)


def scopes(pairs: DataFrame, promotions: DataFrame, catalogue: Catalogue) -> Scopes:
    """The scopes of `promotions` from `pairs` (promotion_id, item_id: in scope, of those with a scope), in the order of their ids.

    Pairs come to the driver as two columns of Arrow: as many as promotions times items of a scope.
    """
    rows = promotions.orderBy("promotion_id").collect()
    ids = pa.array([row["promotion_id"] for row in rows], pa.string())
    table = pairs.select("promotion_id", "item_id").toArrow()
    at = [
        pc.index_in(table[name].combine_chunks(), value_set=known).fill_null(-1).to_numpy(zero_copy_only=False)
        for name, known in (("item_id", catalogue.item_ids), ("promotion_id", ids))
    ]
    is_known = (at[0] >= 0) & (at[1] >= 0)
    ones = np.ones(int(is_known.sum()), dtype=np.float32)
    return Scopes(
        promotion_ids=ids,
        holds=sparse.csr_matrix((ones, (at[0][is_known], at[1][is_known])), shape=(len(catalogue), len(ids))),
        is_whole=np.array([all(row[name] is None for name in _SCOPE) for row in rows], dtype=bool),
        segments=np.array([row["target_segment"] or "" for row in rows], dtype=str),
        lifts=np.array([_lift(row) for row in rows], dtype=np.float32),
    )


def recommend(
    users: DataFrame, catalogue: Catalogue, judge: Ranker, offered: Scopes, count: int, settings: RecommendersSettings
) -> DataFrame:
    """The `count` promotions for each user of `users` (user_id, cell, history, segment) he is likeliest to want, in SCHEMA.

    None without interest, and none that is for another segment.
    """
    rows = candidates.rows_at_once(catalogue, settings.memory_mb)

    def ranked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield _block(batch.slice(start, rows), catalogue, judge, offered, count, settings)

    return users.select("user_id", "cell", "history", "segment").mapInArrow(ranked, SCHEMA)


def interests(users: pa.RecordBatch, catalogue: Catalogue, judge: Ranker, offered: Scopes, settings: RecommendersSettings) -> Floats:
    """interest[u, p] of a block of users; 0 where the promotion is for another segment than the user's."""
    histories = arrays.flat(users)
    proposed = candidates.propose(histories, serving.cells(users, catalogue), catalogue, settings)
    pairs, scores = proposed.pairs, judge.score(ranker.inputs(proposed, catalogue)).astype(np.float64)
    highest = np.full(len(histories), -np.inf)
    np.maximum.at(highest, pairs.users, scores)
    weights = np.exp(scores - highest[pairs.users])
    totals = np.bincount(pairs.users, weights, len(histories))
    shape = (len(histories), len(catalogue))
    shares = sparse.csr_matrix((weights / totals[pairs.users], (pairs.users, pairs.items)), shape=shape)
    wanted = (shares @ offered.holds).toarray()
    wanted[:, offered.is_whole] = (totals > 0)[:, None]
    segments = users.column("segment").fill_null("unknown").to_numpy(zero_copy_only=False).astype(str)
    is_for = (offered.segments == "") | (offered.segments == segments[:, None])
    found: Floats = (wanted * is_for * offered.lifts).astype(np.float32)
    return found


def _block(
    batch: pa.RecordBatch, catalogue: Catalogue, judge: Ranker, offered: Scopes, count: int, settings: RecommendersSettings
) -> pa.RecordBatch:
    found = interests(batch, catalogue, judge, offered, settings)
    best, values = topk.select(np.where(found > 0, found, np.float32(-np.inf)), count)
    users, places = np.nonzero(best >= 0)
    return pa.record_batch(
        [
            batch.column("user_id").take(pa.array(users)),
            pa.array((places + 1).astype(np.int32)),
            offered.promotion_ids.take(pa.array(best[users, places])),
            pa.array(np.round(values[users, places].astype(np.float64), 6)),
        ],
        names=["user_id", "rank", "promotion_id", "interest"],
    )


def _lift(promotion: Any) -> float:
    """Share of in-scope spend the user gets back (a gift counts by its cost), 30 % or more: 1; never nothing, or nobody would get it."""
    amount = promotion["discount_amount"] or promotion["gift_unit_cost"] or 0
    rate = promotion["discount_rate"] or float(amount) / max(float(promotion["threshold"] or 0), float(amount), 1e-9)
    return min(max(float(rate) / _FULL_RATE, _LEAST_LIFT), 1.0)
