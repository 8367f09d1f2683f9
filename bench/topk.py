"""Exact top-k for all users: our blocked pass against MLlib's `recommendForAllUsers`, on random factors.

    python bench/topk.py [--users 100000] [--items 10000] [--rank 64] [--k 20] [--only ours] [--memory-mb 256]

identical: the same items in the same order for every user, but for neighbours whose scores are nearer than TIE
(the two add up the same products in different orders). matmul_share: of the time of product and selection in one thread, that of the
product. peak_mb: the largest Python worker, which must not grow with the users. --only ours: for more users than MLlib should be given.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import figures
import numpy as np
import pyarrow as pa
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import session
from promoloop.recommenders import nearest, topk
from promoloop.settings import load

TIE = 1e-4  # scores reach about 40, of which float32 sums of 64 products keep six digits or so


def random_factors(spark: SparkSession, count: int, rank: int, seed: int, partitions: int) -> DataFrame:
    """id, features: normal factors; seeded by blocks of ids, so never held anywhere in full."""

    def drawn(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = batch.column("id").to_numpy()
            for start in range(0, len(ids), 2000):
                part = ids[start : start + 2000]
                values = np.random.default_rng([seed, int(part[0])]).normal(size=(len(part), rank)).astype(np.float32)
                offsets = pa.array(np.arange(0, values.size + 1, rank, dtype=np.int32))
                features = pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
                yield pa.record_batch([pa.array(part.astype(np.int32)), features], ["id", "features"])

    return spark.range(0, count, 1, partitions).mapInArrow(drawn, "id int, features array<float>")


def mllib_model(spark: SparkSession, users: DataFrame, items: DataFrame, rank: int, folder: Path) -> ALSModel:
    """An ALSModel with these factors: one is trained on a single rating, saved, and its factors replaced."""
    tiny = spark.createDataFrame([(0, 0, 1.0)], "user int, item int, rating float")
    ALS(rank=rank, maxIter=1, numUserBlocks=1, numItemBlocks=1).fit(tiny).write().overwrite().save(str(folder))
    users.write.mode("overwrite").parquet(str(folder / "userFactors"))
    items.write.mode("overwrite").parquet(str(folder / "itemFactors"))
    return ALSModel.load(str(folder))


def run_to_nothing(rows: DataFrame) -> float:
    """Seconds to compute every row, kept nowhere."""
    start = time.perf_counter()
    rows.write.format("noop").mode("overwrite").save()
    return time.perf_counter() - start


def differing_users(ours: DataFrame, theirs: DataFrame) -> int:
    """Users whose lists differ by more than the order of near-ties."""
    theirs = theirs.select("id", "recommendations.item", "recommendations.rating").toDF("user_id", "their_items", "their_scores")
    both = ours.join(theirs, "user_id", "full_outer")
    score_of = F.zip_with("scores", "their_scores", lambda mine, other: F.abs(mine - other) <= TIE)
    same_scores = F.forall(score_of, lambda is_close: is_close)
    last = F.element_at("scores", -1) + TIE  # the last place may be a near-tie with what was left out
    sure = F.filter(F.zip_with("items", "scores", lambda item, score: F.when(score > last, item)), lambda item: item.isNotNull())
    same_items = F.size(F.array_except(sure, "their_items")) == 0
    same_size = F.size("items") == F.size("their_items")
    return both.where(~F.coalesce(same_scores & same_items & same_size, F.lit(False))).count()


def matmul_share(items: np.ndarray, k: int) -> float:
    """Share of the product in product plus selection, one thread, 5,120 users in blocks of 512."""
    users = np.random.default_rng(3).normal(size=(5120, items.shape[1])).astype(np.float32)
    transposed, product, selection = np.ascontiguousarray(items.T), 0.0, 0.0
    for start in range(0, len(users), 512):
        begin = time.perf_counter()
        scores = users[start : start + 512] @ transposed
        middle = time.perf_counter()
        topk.select(scores, k)
        product, selection = product + middle - begin, selection + time.perf_counter() - middle
    return product / (product + selection)


def peak_mb(lists: DataFrame) -> tuple[float, float]:
    """Seconds for all lists, and the largest resident size of a Python worker in MiB."""

    def watched(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        count = sum(batch.num_rows for batch in batches)
        yield pa.record_batch([pa.array([count]), pa.array([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024])], ["count", "mb"])

    start = time.perf_counter()
    row = lists.mapInArrow(watched, "count bigint, mb double").agg(F.sum("count").alias("count"), F.max("mb").alias("mb")).first()
    return time.perf_counter() - start, row["mb"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--memory-mb", type=int, default=256)
    parser.add_argument("--only", choices=["ours"])
    options = parser.parse_args()
    size = {name: getattr(options, name) for name in ("users", "items", "rank", "k")}
    say = partial(figures.say, "topk", size=size)
    with session.opened(load(["local"], ["spark.driver_memory=4g"])) as spark, tempfile.TemporaryDirectory() as folder:
        item_rows = random_factors(spark, options.items, options.rank, 1, 1).orderBy("id").cache()
        items = item_rows.toArrow()["features"].combine_chunks().flatten().to_numpy().reshape(-1, options.rank)
        users = random_factors(spark, options.users, options.rank, 2, max(2, options.users // 25_000))
        named = users.toDF("user_id", "factors")
        if options.only is None:
            model = mllib_model(spark, users, item_rows, options.rank, Path(folder))
            named = model.userFactors.toDF("user_id", "factors")
            ours = nearest.per_user(named, items, options.k, options.memory_mb)
            theirs = model.recommendForAllUsers(options.k)
            run_to_nothing(ours.limit(1000))  # both warm
            run_to_nothing(model.recommendForUserSubset(model.userFactors.limit(10).select(F.col("id").alias("user")), options.k))
            seconds = sorted(run_to_nothing(ours) for _ in range(3))[1]
            their_seconds = run_to_nothing(theirs)
            say("seconds", seconds, "s", recommend_for_all=round(their_seconds, 2))
            say("speedup_over_recommend_for_all", their_seconds / seconds, "times")
            differing = differing_users(ours, theirs.withColumnRenamed("user", "id"))
            say("identical", differing == 0, "truth", differing_users=differing)
        else:
            seconds, megabytes = peak_mb(nearest.per_user(named, items, options.k, options.memory_mb))
            say("seconds", seconds, "s")
            say("peak_mb", round(megabytes), "MiB")
        say("matmul_share", matmul_share(items, options.k), "share")


if __name__ == "__main__":
    main()
