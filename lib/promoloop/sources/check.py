"""Try a mapping on a file, without writing: what a person needs to see before the first ingest."""

from dataclasses import dataclass, field
from datetime import date

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop.errors import UserError
from promoloop.sources.columns import read_columns
from promoloop.sources.mapping import EVENT_TYPES, Files, Mapping
from promoloop.sources.reading import arrivals, has_files


@dataclass(frozen=True)
class SetCheck:
    """One set of files: what came of its first records. Shares are of the records looked at; failures: column, share, first values."""

    entity: str
    files: str
    is_there: bool = True
    count_records: int = 0
    sample: list[dict[str, str | None]] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    new_fields: list[str] = field(default_factory=list)
    unread_share: float = 0.0
    failures: list[tuple[str, float, list[str]]] = field(default_factory=list)
    null_shares: dict[str, float] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)  # event types outside our vocabulary


def check(
    spark: SparkSession, mapping: Mapping, folder: str, schemas: dict[str, T.StructType], as_of: date, most: int = 50_000
) -> list[SetCheck]:
    """Map the first `most` records of every set below `folder` into `schemas` (by entity) and tell what came of them.

    Personal fields are masked in the sample; the rules are not applied. Raises UserError where no set has files, and naming a set and
    the expression that Spark refuses.
    """
    found = [_check(spark, files, folder, schemas[files.entity], as_of, most) for files in mapping.sets]
    if not any(one.is_there for one in found):
        raise UserError(f"no files: below {folder} nothing matches {', '.join(repr(one.files) for one in found)}")
    return found


def _check(spark: SparkSession, files: Files, folder: str, schema: T.StructType, as_of: date, most: int) -> SetCheck:
    if not has_files(spark, files, folder):
        return SetCheck(files.entity, files.files, is_there=False)
    try:
        mapped = read_columns(arrivals(spark, files, folder, is_stream=False).limit(most), files, schema, as_of).persist()
    except AnalysisException as error:
        raise UserError(f"set {files.entity} ({files.files}): {str(error).splitlines()[0]}") from None
    try:
        return _report(mapped, files)
    finally:
        mapped.unpersist()


def _report(mapped: DataFrame, files: Files) -> SetCheck:
    count = mapped.count()
    failed, new = F.get_json_object("_rescued", "$.failed"), F.get_json_object("_rescued", "$.new")
    pairs = mapped.select(F.explode(F.from_json(failed, "map<string,string>")).alias("column", "value"))
    failures = pairs.groupBy("column").agg(F.count("*").alias("n"), F.slice(F.sort_array(F.collect_set("value")), 1, 3).alias("values"))
    extra = mapped.select(F.explode(F.map_keys(F.from_json(new, "map<string,string>"))).alias("name")).distinct()
    columns = list(files.columns)
    nulls = mapped.agg(
        F.count(F.get_json_object("_rescued", "$.unread")).alias("_unread"),
        *[F.count(F.when(F.col(c).isNull(), 1)).alias(c) for c in columns],
    ).collect()[0]
    is_strange = ~F.col("event_type").isin(*EVENT_TYPES) if "event_type" in columns else F.lit(False)
    words = mapped.where(is_strange).select("event_type").distinct().limit(10).collect() if "event_type" in columns else []
    is_sound = F.get_json_object("_rescued", "$.unread").isNull() & failed.isNull()  # new fields are no fault
    whole = max(count, 1)
    return SetCheck(
        entity=files.entity,
        files=files.files,
        count_records=count,
        sample=[_shown(row.asDict(), files) for row in mapped.where(is_sound).select(*columns).limit(5).collect()],
        unmapped=[name for name in files.fields if name not in files.used],
        new_fields=sorted(row["name"] for row in extra.collect()),
        unread_share=nulls["_unread"] / whole,
        failures=[(row["column"], row["n"] / whole, list(row["values"])) for row in failures.orderBy("column").collect()],
        null_shares={name: nulls[name] / whole for name in columns},
        words=sorted(row["event_type"] for row in words),
    )


def _shown(row: dict[str, object], files: Files) -> dict[str, str | None]:
    return {name: None if value is None else "(masked)" if files.is_personal(name) else str(value) for name, value in row.items()}
