"""How good lists are, in Spark: accuracy at k per user, novelty, diversity, coverage, and means with bootstrap intervals by segment.

For a user with relevant items R and list i_1 .. i_k, hit_r = 1 where i_r is in R:

    precision  Σ hit_r / k                     recall  Σ hit_r / |R|
    ndcg       Σ hit_r / log2(r + 1)  /  Σ_{r <= min(k, |R|)} 1 / log2(r + 1)
    map        Σ hit_r · (hits up to r) / r  /  min(k, |R|)      mrr  1 / r of the first hit
    novelty    mean of -log2(share of users who touched the item)
    diversity  1 - mean cosine of the content of two items of the list
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from promoloop.recommenders.arrays import Integers, uniforms

ACCURACY = ("precision", "recall", "ndcg", "map", "mrr")


def per_user(lists: DataFrame, relevant: DataFrame, k: int) -> DataFrame:
    """One row per user of `relevant` (user_id, item_id): the accuracy of the first `k` ranks of `lists` (user_id, rank, item_id)."""
    relevant = relevant.select("user_id", "item_id").distinct()
    ideal = F.array(*[F.lit(sum(1 / math.log2(rank + 1) for rank in range(1, count + 1))) for count in range(1, k + 1)])
    reachable = F.least("_relevant", F.lit(k))
    up_to_here = F.row_number().over(Window.partitionBy("user_id").orderBy("rank"))
    hits = lists.where(F.col("rank") <= k).join(relevant, ["user_id", "item_id"]).withColumn("_hits", up_to_here)
    gains = hits.groupBy("user_id").agg(
        F.count("*").alias("_count"),
        F.sum(1 / F.log2(F.col("rank") + 1)).alias("_gain"),
        F.sum(F.col("_hits") / F.col("rank")).alias("_precisions"),
        F.min("rank").alias("_first"),
    )
    counted = relevant.groupBy("user_id").agg(F.count("*").alias("_relevant")).join(gains, "user_id", "left")
    measures = {
        "precision": F.col("_count") / k,
        "recall": F.col("_count") / F.col("_relevant"),
        "ndcg": F.col("_gain") / F.element_at(ideal, reachable.cast("int")),
        "map": F.col("_precisions") / reachable,
        "mrr": 1 / F.col("_first"),
    }
    return counted.select("user_id", *[F.coalesce(measure, F.lit(0.0)).alias(name) for name, measure in measures.items()])


def novelty_per_user(lists: DataFrame, interactions: DataFrame, k: int) -> DataFrame:
    """One row per user with a list: `novelty`, bits. An item nobody touched counts as touched by one user in twice as many."""
    users = interactions.agg(F.count_distinct("user_id").alias("_users"))
    touched = interactions.groupBy("item_id").agg(F.count_distinct("user_id").alias("_touched"))
    bits = -F.log2(F.coalesce(F.col("_touched"), F.lit(0.5)) / F.col("_users"))
    top = lists.where(F.col("rank") <= k).join(touched, "item_id", "left").crossJoin(F.broadcast(users))
    return top.groupBy("user_id").agg(F.avg(bits).alias("novelty"))


def diversity_per_user(lists: DataFrame, content: DataFrame, k: int) -> DataFrame:
    """One row per user with at least two items: `diversity`. `content` as of `content.per_item`.

    The sum of all pairs' cosines follows from the length of the sum of unit vectors: |Σ v|² = Σ |v|² + 2 Σ_{i<j} v_i · v_j. An item
    without a vector, or with one of zeros, is like no other.
    """
    square = F.aggregate("weights", F.lit(0.0), lambda total, weight: total + weight * weight)
    parts = content.select("item_id", F.explode(F.arrays_zip("places", "weights")).alias("_part"), F.sqrt(square).alias("_length"))
    units = parts.where(F.col("_length") > 0).withColumn("_share", F.col("_part.weights") / F.col("_length"))
    top = lists.where(F.col("rank") <= k).select("user_id", "item_id")
    sums = (
        top.join(units, "item_id")
        .groupBy("user_id", "_part.places")
        .agg(F.sum("_share").alias("_sum"), F.sum(F.col("_share") * F.col("_share")).alias("_own"))
        .groupBy("user_id")
        .agg(F.sum(F.col("_sum") * F.col("_sum") - F.col("_own")).alias("_cosines"))
    )
    n = F.col("_n")
    counts = top.groupBy("user_id").agg(F.count("*").alias("_n")).where(n > 1)
    cosines = F.coalesce("_cosines", F.lit(0.0))
    return counts.join(sums, "user_id", "left").select("user_id", (1 - cosines / (n * (n - 1))).alias("diversity"))


def coverage(lists: DataFrame, count_items: int, k: int) -> DataFrame:
    """One row: `coverage`, the share of the catalogue that is in the first `k` of anybody's list."""
    return lists.where(F.col("rank") <= k).agg((F.count_distinct("item_id") / count_items).alias("coverage"))


def summarise(measures: DataFrame, names: tuple[str, ...], resamples: int, seed: int) -> DataFrame:
    """One row per metric and scope (`all`, and `segment:NAME` where there is a column segment): value, low, high, count_users.

    `measures` holds one row per user. low and high bound the 95 % Poisson-bootstrap interval (Chamandy et al. 2012): each user gets a
    Poisson(1) weight per resample, hashed from id, seed and resample, so that any partitioning gives the same interval.
    """
    scopes = F.array(F.lit("all"), *([F.concat(F.lit("segment:"), "segment")] if "segment" in measures.columns else []))
    rows = measures.select(F.xxhash64("user_id", F.lit(seed)).alias("_hash"), scopes.alias("_scopes"), *names)

    def totals(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _resampled(batch, names, resamples)

    sums = rows.mapInArrow(totals, "scope string, resample int, metric string, weighted double, weight double")
    means = sums.groupBy("scope", "metric", "resample").agg(
        F.try_divide(F.sum("weighted"), F.sum("weight")).alias("_mean"), F.sum("weight").alias("_weight")
    )
    return (
        means.groupBy("metric", "scope")
        .agg(
            F.max(F.when(F.col("resample") == 0, F.col("_mean"))).alias("value"),
            F.percentile(F.when(F.col("resample") > 0, F.col("_mean")), 0.025).alias("low"),
            F.percentile(F.when(F.col("resample") > 0, F.col("_mean")), 0.975).alias("high"),
            F.max(F.when(F.col("resample") == 0, F.col("_weight"))).cast("bigint").alias("count_users"),
        )
        .orderBy("metric", "scope")
    )


def _resampled(batch: pa.RecordBatch, names: tuple[str, ...], resamples: int) -> pa.RecordBatch:
    """Weighted sums of a batch by scope, metric and resample; resample 0 has weight 1 for everybody."""
    weights = np.hstack([np.ones((batch.num_rows, 1)), poisson(batch.column("_hash").to_numpy(zero_copy_only=False), resamples)])
    lists = batch.column("_scopes")
    row_of = np.repeat(np.arange(batch.num_rows), lists.value_lengths().to_numpy(zero_copy_only=False))
    scopes, scope_of = np.unique(lists.flatten().to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    out: dict[str, list[object]] = {name: [] for name in ("scope", "resample", "metric", "weighted", "weight")}
    for number, scope in enumerate(scopes):
        inside = row_of[scope_of == number]
        for name in names:
            values = batch.column(name).to_numpy(zero_copy_only=False)[inside]
            known = ~np.isnan(values)
            out["scope"] += [scope] * (resamples + 1)
            out["resample"] += range(resamples + 1)
            out["metric"] += [name] * (resamples + 1)
            out["weighted"] += (values[known] @ weights[inside][known]).tolist()
            out["weight"] += weights[inside][known].sum(axis=0).tolist()
    types = {"scope": pa.string(), "resample": pa.int32(), "metric": pa.string(), "weighted": pa.float64(), "weight": pa.float64()}
    return pa.record_batch([pa.array(out[name], kind) for name, kind in types.items()], names=list(types))


def poisson(hashes: Integers, resamples: int) -> NDArray[np.float64]:
    """Poisson(1) weights, rows × resamples, from each row's 64-bit hash."""
    drawn = uniforms(hashes[:, None], np.arange(1, resamples + 1))
    cumulated = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(12)])
    return np.searchsorted(cumulated, drawn).astype(np.float64)
