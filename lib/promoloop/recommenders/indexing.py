"""Dense integer indexes for ids, made where the rows are: no list of ids ever reaches the driver."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

BUCKETS = 1024


def per_id(rows: DataFrame, id_column: str) -> DataFrame:
    """One row per distinct id with `{stem}_index`, 0 .. n-1 (int): the same for the same ids whatever the partitioning.

    Ids fall into buckets by hash; an index is the bucket's offset plus the id's rank within it, so only 1024 counts are
    ever sorted together. Raises (ANSI overflow) beyond 2^31 ids, which is MLlib ALS's own limit.
    """
    index = id_column.removesuffix("_id") + "_index"
    ids = rows.select(id_column).where(F.col(id_column).isNotNull()).distinct()
    ids = ids.withColumn("_bucket", F.pmod(F.xxhash64(id_column), F.lit(BUCKETS)))
    sizes = ids.groupBy("_bucket").agg(F.count("*").alias("_size"))
    before = Window.orderBy("_bucket").rowsBetween(Window.unboundedPreceding, -1)  # 1024 rows at most
    offsets = sizes.select("_bucket", F.coalesce(F.sum("_size").over(before), F.lit(0)).alias("_offset"))
    within = F.row_number().over(Window.partitionBy("_bucket").orderBy(id_column))
    return ids.join(F.broadcast(offsets), "_bucket").select(id_column, (F.col("_offset") + within - 1).cast("int").alias(index))
