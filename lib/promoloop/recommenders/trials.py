"""Parameters of the factorisation chosen by a time split: learned from the days before a day, judged on the purchases that followed."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.frames import settle, side_by_side
from promoloop.recommenders import arrays, factors, folding, hits, interactions, nearest
from promoloop.recommenders.folding import Factors
from promoloop.settings.learning import RecommendersSettings, Trial


def choose(
    strengths: DataFrame, taken: DataFrame, item_indexes: DataFrame, settings: RecommendersSettings, seed: int, blocks: int
) -> tuple[RecommendersSettings, dict[str, float]]:
    """The settings with the parameters whose factors alone foresee best, and the mean NDCG@10 of all that were tried, by parameters.

    `strengths` as of a day (`interactions.per_user_item`); `taken`: user_id and the indexes of items bought from that day on. Each
    trial learns from the same hashed sample of `trial_users` users, so that a trial costs seconds. Without `trials` nothing
    is tried.
    """
    if not settings.trials:
        return settings, {}
    known = strengths.select("user_id").distinct()
    chosen = known.orderBy(F.xxhash64("user_id", F.lit(seed)), "user_id").limit(settings.trial_users)
    sample = settle(strengths.join(F.broadcast(chosen), "user_id"))
    judged = settle(interactions.histories(sample, item_indexes, settings).join(taken, "user_id"))
    count_items = item_indexes.count()

    def foresees(tried: RecommendersSettings) -> float:
        return judge(judged, factors.train(sample, item_indexes, tried, seed, blocks), count_items, tried)

    candidates = [settings.model_copy(update=trial.model_dump(exclude_none=True)) for trial in (Trial(), *settings.trials)]
    found = side_by_side(strengths.sparkSession, *(partial(foresees, tried) for tried in candidates))
    best = max(range(len(candidates)), key=found.__getitem__)  # the first of equals: the settings as they are
    return candidates[best], dict(zip(map(_name, candidates), found, strict=True))


def _name(tried: RecommendersSettings) -> str:
    return f"ndcg_als_rank_{tried.rank}_regularisation_{tried.regularisation:g}_alpha_{tried.alpha:g}".replace("+", "")


def judge(users: DataFrame, item_factors: DataFrame, count_items: int, settings: RecommendersSettings) -> float:
    """Mean NDCG@10 of lists by factors alone over `users` (history, taken), folded in; what they had before included; 0 without users."""
    table = item_factors.toArrow()
    items = np.zeros((count_items, settings.rank), dtype=np.float32)
    items[table["item_index"].to_numpy()] = table["factors"].combine_chunks().flatten().to_numpy().reshape(-1, settings.rank)
    trained = Factors.of(items, settings.alpha, settings.regularisation)
    rows = nearest.rows_at_once(count_items, settings.memory_mb)

    def judged(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield _judged(batch.slice(start, rows), trained)

    row = users.select("history", "taken").mapInArrow(judged, "ndcg double").agg(F.round(F.avg("ndcg"), 6).alias("mean")).first()
    return float(row["mean"] or 0.0) if row is not None else 0.0


def _judged(batch: pa.RecordBatch, trained: Factors) -> pa.RecordBatch:
    vectors, _ = folding.fold_in(arrays.flat(batch), trained)
    nothing = np.empty(0, dtype=np.int64)
    items, _ = nearest.best(vectors, trained.items.T, hits.JUDGED_AT, nothing, (nothing, nothing))
    return pa.record_batch([pa.array(hits.ndcg(items, batch.column("taken"), len(trained.items)))], names=["ndcg"])
