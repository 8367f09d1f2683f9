"""Repeats: records that say again what an accepted one said, in the same take or in the days of history it touches.

All of it works on narrow rows (ids and hashes), and what it returns is small: the repeats alone. Which keys repeat at all is found by
counting their hashes, eight bytes each; only the records of those are compared.
"""

from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop import frames

_ORDER = ("_is_new", "received_at", "source_file", "row_number", "record_id")


def repeated_ids(sound: DataFrame, history: DataFrame | None) -> DataFrame:
    """Ids of events seen more than once: event_id, first_record_id, first_fingerprint; key event_id.

    First is what history holds, else the earliest received. `history`: accepted events of the same days, if any.
    """
    return frames.settle_few(_first_of(sound, history, ["event_id"]))


def repeated_contents(sound: DataFrame, history: DataFrame | None) -> DataFrame:
    """Contents seen more than once, under whatever id: occurred_on, fingerprint, first_record_id; key the first two."""
    return frames.settle_few(_first_of(sound, history, ["occurred_on", "fingerprint"]).drop("first_fingerprint"))


def _first_of(sound: DataFrame, history: DataFrame | None, key: list[str]) -> DataFrame:
    columns = ("event_id", "occurred_on", "fingerprint", "record_id")
    new = sound.select(*columns, F.lit(True).alias("_is_new"), "received_at", "source_file", "row_number")
    marked = (new if history is None else new.unionByName(_as_old(history, columns))).withColumn("_mark", F.xxhash64(*key))
    counted = marked.groupBy("_mark").agg(F.count("*").alias("_count"), F.max("_is_new").alias("_has_new"))
    suspects = frames.settle_few(counted.where((F.col("_count") > 1) & F.col("_has_new")).select("_mark"))
    first = F.min(F.struct(*_ORDER, F.col("fingerprint").alias("_fingerprint")))
    return (
        marked.join(suspects, "_mark", "left_semi")
        .groupBy(*key)
        .agg(first.alias("_first"), F.count("*").alias("_count"), F.max("_is_new").alias("_has_new"))
        .where((F.col("_count") > 1) & F.col("_has_new"))
        .select(*key, F.col("_first.record_id").alias("first_record_id"), F.col("_first._fingerprint").alias("first_fingerprint"))
    )


def _as_old(history: DataFrame, columns: Collection[str]) -> DataFrame:
    return history.select(
        *columns,
        F.lit(False).alias("_is_new"),
        F.lit(None).cast("timestamp").alias("received_at"),
        F.lit(None).cast("string").alias("source_file"),
        F.lit(None).cast("bigint").alias("row_number"),
    )
