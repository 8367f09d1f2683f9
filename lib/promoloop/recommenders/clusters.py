"""Top-k for catalogues too large for every task: cluster the items, look only into each user's best clusters, exactly there.

    1. k-means over item factors (MLlib), about sqrt(items) clusters.       Only centroids reach the tasks and the driver.
    2. A user looks into the `probes` clusters with the largest x · c.      A pass over users.
    3. Users and items meet by cluster; within it the k best are exact.     A shuffle by (cluster, salt); salts bound a task's users.
    4. The best k of a user's clusters.

What is missed are items of clusters not looked into; `recall` measures it against the exact answer on a sample of users.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.ml.clustering import KMeans
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from promoloop.recommenders import topk
from promoloop.recommenders.arrays import Floats

_ROWS = 512


def per_user(users: DataFrame, items: DataFrame, k: int, clusters: int, probes: int, seed: int, salts: int = 1) -> DataFrame:
    """One row per user (user_id, factors) and rank: user_id, rank, item_id, score, among the items (item_id, factors) looked into."""
    vectors = items.select("item_id", "factors", array_to_vector(F.col("factors")).alias("features"))
    model = KMeans(k=clusters, seed=seed, maxIter=10).fit(vectors)
    centroids = np.array(model.clusterCenters(), dtype=np.float32)
    salt = F.explode(F.sequence(F.lit(0), F.lit(salts - 1))).alias("salt")
    placed = model.transform(vectors).select("item_id", "factors", F.col("prediction").alias("cluster"), salt)
    looking = _probed(users, centroids, probes).withColumn("salt", F.pmod(F.xxhash64("user_id"), F.lit(salts)).cast("int"))
    keys = ["cluster", "salt"]
    met = (
        looking.groupBy(*keys)
        .cogroup(placed.groupBy(*keys))
        .applyInArrow(lambda left, right: _meet(left, right, k), _met_schema(users, items))
    )
    best_first = Window.partitionBy("user_id").orderBy(F.col("score").desc(), "item_id")
    ranked = met.withColumn("rank", F.row_number().over(best_first))
    return ranked.where(F.col("rank") <= k).select("user_id", "rank", "item_id", "score")


def recall(found: DataFrame, exact: DataFrame) -> DataFrame:
    """One row: `recall`, the share of the rows of `exact` (user_id, item_id) that `found` holds too."""
    hits = exact.join(found.select("user_id", "item_id", F.lit(1.0).alias("_hit")), ["user_id", "item_id"], "left")
    return hits.agg(F.avg(F.coalesce("_hit", F.lit(0.0))).alias("recall"))


def _met_schema(users: DataFrame, items: DataFrame) -> str:
    user, item = users.schema["user_id"].dataType.simpleString(), items.schema["item_id"].dataType.simpleString()
    return f"user_id {user}, item_id {item}, score float"


def _probed(users: DataFrame, centroids: Floats, probes: int) -> DataFrame:
    """Users × their best clusters."""

    def probe(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            best, _ = topk.select(_matrix(batch.column("factors")) @ centroids.T, min(probes, len(centroids)))
            rows = pa.array(np.repeat(np.arange(batch.num_rows), best.shape[1]))
            yield pa.record_batch(
                [batch.column("user_id").take(rows), batch.column("factors").take(rows), pa.array(best.ravel().astype(np.int32))],
                names=["user_id", "factors", "cluster"],
            )

    user = users.schema["user_id"].dataType.simpleString()
    return users.select("user_id", "factors").mapInArrow(probe, f"user_id {user}, factors array<float>, cluster int")


def _meet(users: pa.Table, items: pa.Table, k: int) -> pa.Table:
    """The k best of a cluster's items for each of the users who look into it."""
    ids, scores, whose = [], [], []
    if users.num_rows and items.num_rows:
        items = items.sort_by("item_id")
        theirs, factors = _matrix(users["factors"].combine_chunks()), _matrix(items["factors"].combine_chunks())
        for start in range(0, len(theirs), _ROWS):
            best, values = topk.select(theirs[start : start + _ROWS] @ factors.T, k)
            rows, places = np.nonzero(best >= 0)
            whose.append(rows + start)
            ids.append(best[rows, places])
            scores.append(values[rows, places])
    at, chosen = (np.concatenate([np.empty(0, dtype=np.int64), *parts]) for parts in (whose, ids))
    found = np.concatenate([np.empty(0, dtype=np.float32), *scores])
    return pa.table(
        {"user_id": users["user_id"].take(pa.array(at)), "item_id": items["item_id"].take(pa.array(chosen)), "score": pa.array(found)}
    )


def _matrix(lists: pa.Array) -> Floats:
    matrix: Floats = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(len(lists), -1)
    return matrix
