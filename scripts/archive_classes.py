"""Have Java keep the classes that a short session used, for the sessions to come (see promoloop.java). What is there already stays.

Usage: `.venv/bin/python scripts/archive_classes.py`, in a process of its own, as a Java that runs already takes no options.
"""

import os
import sys
import tempfile
from pathlib import Path

from pyspark import SparkContext
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import RandomForestRegressor
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from promoloop import home, java, session
from promoloop.settings import load


def use(spark: SparkSession, place: Path) -> None:
    """A little of all that jobs do with Spark: a table written, added to, merged, read and followed; a window, a join, a model."""
    table = f"delta.`{place}/table`"
    rows = spark.range(0, 2000, 1, 2).select("id", F.col("id").cast("string").alias("name"), (F.col("id") % 7).alias("kind"))
    spark.sql(f"CREATE TABLE {table} (id bigint, name string, kind bigint) USING delta CLUSTER BY (kind)")
    rows.write.format("delta").mode("append").option("txnAppId", "ready").option("txnVersion", 0).save(f"{place}/table")
    rows.createOrReplaceTempView("rows")
    spark.sql(f"MERGE INTO {table} t USING rows s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")
    spark.sql(f"DESCRIBE HISTORY {table}").collect()
    kinds = spark.table(table).groupBy("kind").agg(F.count("*").alias("count"), F.stddev("id").alias("spread"))
    latest = F.row_number().over(Window.partitionBy("kind").orderBy(F.desc("id")))
    spark.table(table).join(kinds, "kind").withColumn("latest", latest).orderBy("id").persist().collect()

    def keep(arrived: DataFrame, number: int) -> None:
        arrived.mapInPandas(lambda parts: parts, arrived.schema).write.format("delta").mode("append").save(f"{place}/followed")

    stream = spark.readStream.format("delta").load(f"{place}/table").writeStream.option("checkpointLocation", f"{place}/seen")
    stream.foreachBatch(keep).trigger(availableNow=True).start().awaitTermination()
    vectors = VectorAssembler(inputCols=["id", "kind"], outputCol="features").transform(rows)
    RandomForestRegressor(labelCol="kind", numTrees=2).fit(vectors).transform(vectors).count()


def make_archive() -> None:
    """Java writes it as it ends. What is there already stays."""
    if java.archive().is_file():
        return
    os.chdir(home.root())  # the path that Java is told is relative to it: an option holds no blanks, as a path may
    partial = java.archive().with_suffix(".part")
    partial.unlink(missing_ok=True)
    own = f"spark.java_options=-XX:ArchiveClassesAtExit={os.path.relpath(partial)}"
    with tempfile.TemporaryDirectory() as place:
        with session.opened(load(["local"], [own])) as spark:
            use(spark, Path(place))
        gateway = SparkContext._gateway
        gateway.shutdown()
        gateway.proc.stdin.close()
        if gateway.proc.wait() != 0 or not partial.is_file():
            sys.exit("Java wrote no archive")
    partial.rename(java.archive())


if __name__ == "__main__":
    make_archive()
