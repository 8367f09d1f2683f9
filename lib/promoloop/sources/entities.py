"""Records of users, items, promotions and past offers: which is current, which contradict one another."""

from collections.abc import Collection
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop import frames
from promoloop.sources.columns import records_schema

_PLACE = ("received_at", "batch_id", "source_file", "row_number")
_REUSED = "is_key_reused"
_KNOWN = "known already, by another record: send what is to count in a new file"
_ONCE = ("promotions", "past_offers")  # of these a batch states each one once; of users and items it may state changes


def add_is_key_reused(records: DataFrame, entity: str, key: str) -> DataFrame:
    """Add is_key_reused: whether records of one batch give the same `key` to different content; null for users and items. Same rows."""
    if entity not in _ONCE:
        return records.withColumn(_REUSED, F.lit(None).cast("boolean"))
    content = F.xxhash64(*[F.coalesce(F.to_json(F.struct(name)), F.lit("")) for name in records.columns if name not in _PLACE])
    of_key = Window.partitionBy("batch_id", key)
    return records.withColumn(_REUSED, (F.min(content).over(of_key) != F.max(content).over(of_key)) & F.col(key).isNotNull())


def keep_current(records: DataFrame, key: str, columns: Collection[str]) -> DataFrame:
    """`columns` of the last received record of each `key`; grain: key. Records are reduced where they lie before any of them moves."""
    latest = F.max_by(F.struct(*columns), F.struct(*_PLACE)).alias("_latest")
    return records.groupBy(key).agg(latest).select("_latest.*")


def placeholders(records: DataFrame, key: str, schema: T.StructType) -> DataFrame:
    """One row of `schema` per `key` that `records` name, with nothing known but that: no channel, no consent; grain: key.

    Insert them where the key is new and nowhere else: the real entity, whenever it comes, is merged over its placeholder.
    """
    named = records.where(F.col(key).isNotNull()).select(key).distinct()
    return named.withColumns(_bare(schema, key)).select(*schema.fieldNames())


def _is_placeholder(schema: T.StructType, key: str) -> Column:
    return reduce(Column.__and__, (F.col(name).eqNullSafe(nothing) for name, nothing in _bare(schema, key).items()))


def _bare(schema: T.StructType, key: str) -> dict[str, Column]:
    return {field.name: _nothing(field) for field in schema if field.name != key}


def _nothing(field: T.StructField) -> Column:
    if not field.nullable and isinstance(field.dataType, T.ArrayType):
        return F.array().cast(field.dataType)
    return F.lit(False) if not field.nullable and isinstance(field.dataType, T.BooleanType) else F.lit(None).cast(field.dataType)


def received_again(rejected: DataFrame, schema: T.StructType) -> DataFrame:
    """Rows of entities_rejected, of one table of `schema`, as the records they were, with their place; grain: one rejected record."""
    stated = T.StructType([field for field in records_schema(schema) if field.name != _REUSED])
    return rejected.select(*_PLACE, F.from_json("record", stated.simpleString()).alias("_record")).select(*_PLACE, "_record.*")


def released(judged: DataFrame, known: DataFrame, key: str, has_placeholders: bool) -> DataFrame:
    """Rows for the table that `known` is: of each key that it has not the last sound record; grain: key.

    When what is known was said is not remembered, so it stays. `has_placeholders`: a row of which nothing is known counts as none.
    """
    there = (known.where(~_is_placeholder(known.schema, key)) if has_placeholders else known).select(key)
    sound = judged.where(F.size("reasons") == 0).join(there, key, "left_anti")
    return keep_current(sound, key, known.columns)


def still_refused(judged: DataFrame, now: DataFrame, key: str) -> DataFrame:
    """Records that stay in quarantine, with reasons: all but those that say what the table, as it is `now`, says. Same columns."""
    said = now.select(key, F.struct(*now.columns).alias("_said"))
    says_else = ~F.struct(*now.columns).eqNullSafe(F.col("_said"))
    reasons = F.when((F.size("reasons") == 0) & says_else, F.array(F.lit(f"{key}: {_KNOWN}"))).otherwise(F.col("reasons"))
    return judged.join(said, key, "left").withColumn("reasons", reasons).where(F.size("reasons") > 0).drop("_said")


def as_rejected(records: DataFrame, table_name: str) -> DataFrame:
    """Records with reasons as rows of entities_rejected: the place, the reasons, the record as JSON."""
    kept = [name for name in records.columns if name not in (*_PLACE, "reasons", _REUSED)]
    return records.select(
        F.lit(table_name).alias("table_name"),
        "batch_id",
        "source_file",
        "row_number",
        "reasons",
        frames.as_json(kept).alias("record"),
        "received_at",
    )
