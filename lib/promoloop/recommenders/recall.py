"""What looking into the best clusters alone misses, measured on a sample of users."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.recommenders import arrays, candidates, clusters, folding, nearest
from promoloop.recommenders.catalogue import Catalogue
from promoloop.settings.learning import RecommendersSettings

_SAMPLE = 500
_SOURCES = ("factors", "content")
_COUNTS = tuple(f"{source}_{count}" for source in _SOURCES for count in ("found", "exact"))


def of_clusters(users: DataFrame, goods: Catalogue, settings: RecommendersSettings, seed: int) -> dict[str, float]:
    """`recall_by_factors` and `recall_by_content`: the share of the exact candidates of a source that its clusters find too.

    Over 500 of `users` (user_id, history), hashed; nothing where `goods` has no clusters, 1.0 where no user has a history.
    """
    if goods.factor_clusters is None or goods.content_clusters is None:
        return {}
    sample = users.where(F.col("history").isNotNull()).orderBy(F.xxhash64("user_id", F.lit(seed)), "user_id").limit(_SAMPLE)
    rows = nearest.rows_at_once(len(goods), settings.memory_mb)

    def counted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield _counted(batch.slice(start, rows), goods, settings)

    sums = sample.select("history").mapInArrow(counted, ", ".join(f"{name} bigint" for name in _COUNTS))
    row = sums.agg(*[F.sum(name).alias(name) for name in _COUNTS]).first()
    assert row is not None
    shares = {source: (row[f"{source}_found"] or 0, row[f"{source}_exact"] or 0) for source in _SOURCES}
    return {f"recall_by_{source}": round(found / exact, 4) if exact else 1.0 for source, (found, exact) in shares.items()}


def _counted(batch: pa.RecordBatch, goods: Catalogue, settings: RecommendersSettings) -> pa.RecordBatch:
    histories = arrays.flat(batch)
    done, sold_out = candidates.done_with(histories, goods, settings), np.flatnonzero(~goods.is_available)
    of_users = (folding.fold_in(histories, goods.factors)[0], candidates.tastes(histories, goods))
    counts = []
    for vectors, items, parts in zip(
        of_users, (goods.factors.items, goods.content), (goods.factor_clusters, goods.content_clusters), strict=True
    ):
        assert parts is not None
        exact, _ = nearest.best(vectors, items.T, settings.candidates, sold_out, done)
        found, _ = clusters.best(vectors, items, parts, settings.candidates, settings.probes, goods.is_available, done)
        keys = [(np.arange(len(one))[:, None] * len(goods) + one)[one >= 0] for one in (found, exact)]
        counts += [int(np.isin(keys[0], keys[1]).sum()), len(keys[1])]
    return pa.record_batch([pa.array([count]) for count in counts], names=list(_COUNTS))
