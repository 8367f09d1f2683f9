"""Records of users, items, promotions and past offers: which is current, which contradict one another."""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop import frames

_PLACE = ("received_at", "batch_id", "source_file", "row_number")
_ONCE = ("promotions", "past_offers")  # of these a batch states each one once; of users and items it may state changes


def add_is_key_reused(records: DataFrame, entity: str, key: str) -> DataFrame:
    """Add is_key_reused: whether records of one batch give the same `key` to different content; null for users and items. Same rows."""
    if entity not in _ONCE:
        return records.withColumn("is_key_reused", F.lit(None).cast("boolean"))
    content = F.xxhash64(*[F.coalesce(F.to_json(F.struct(name)), F.lit("")) for name in records.columns if name not in _PLACE])
    of_key = Window.partitionBy("batch_id", key)
    return records.withColumn("is_key_reused", (F.min(content).over(of_key) != F.max(content).over(of_key)) & F.col(key).isNotNull())


def keep_current(records: DataFrame, key: str, columns: Collection[str]) -> DataFrame:
    """`columns` of the last received record of each `key`; grain: key. Records are reduced where they lie before any of them moves."""
    latest = F.max_by(F.struct(*columns), F.struct(*_PLACE)).alias("_latest")
    return records.groupBy(key).agg(latest).select("_latest.*")


def placeholders(records: DataFrame, key: str, schema: T.StructType) -> DataFrame:
    """One row of `schema` per `key` that `records` name, with nothing known but that: no channel, no consent; grain: key.

    Insert them where the key is new and nowhere else: the real entity, whenever it comes, is merged over its placeholder.
    """
    bare = {field.name: _nothing(field) for field in schema if field.name != key}
    named = records.where(F.col(key).isNotNull()).select(key).distinct()
    return named.withColumns(bare).select(*schema.fieldNames())


def _nothing(field: T.StructField) -> Column:
    if not field.nullable and isinstance(field.dataType, T.ArrayType):
        return F.array().cast(field.dataType)
    return F.lit(False) if not field.nullable and isinstance(field.dataType, T.BooleanType) else F.lit(None).cast(field.dataType)


def as_rejected(records: DataFrame, table_name: str) -> DataFrame:
    """Records with reasons as rows of entities_rejected: the place, the reasons, the record as JSON."""
    kept = [name for name in records.columns if name not in (*_PLACE, "reasons", "is_key_reused")]
    return records.select(
        F.lit(table_name).alias("table_name"),
        "batch_id",
        "source_file",
        "row_number",
        "reasons",
        frames.as_json(kept).alias("record"),
        "received_at",
    )
