"""What a stream has not taken of a table yet, from the stream's own checkpoint."""

import json

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.tables import store
from promoloop.tables.behaviour import EVENTS, RAW_EVENTS
from promoloop.tables.table import Table

_FOLLOWED = ((RAW_EVENTS, "clean", "clean_events"), (EVENTS, "stream_recommendations", "stream_recommendations"))


def require_all_taken(spark: SparkSession, settings: Settings) -> None:
    """Raise UserError where a stream has still to take rows: they may not be rewritten, and would bring back who was erased."""
    for table, stream, job in _FOLLOWED:
        if store.exists(spark, settings, table) and has_untaken(spark, settings, table, stream):
            raise UserError(f"{table.name} has rows that {job} has not taken yet: run {job} first")


def has_untaken(spark: SparkSession, settings: Settings, table: Table, stream: str) -> bool:
    """Whether rows were appended to `table` that the stream with this checkpoint has still to take.

    Those rows must not be rewritten or vacuumed: the stream reads them from the version they came with. False where the stream has
    never run: it will begin with the table as it is then. Spark writes an offset before a take and a commit after it; Delta's offset
    says from which version on nothing was taken.
    """
    place = store.checkpoint(settings, stream)
    try:
        offsets, commits = (_numbered(spark, f"{place}/{kind}") for kind in ("offsets", "commits"))
    except AnalysisException:
        return False
    if not offsets:
        return False
    newest = max(offsets)
    last = json.loads(offsets[newest].strip().splitlines()[-1])
    if newest not in commits or last["index"] >= 0:
        return True
    history = spark.sql(f"DESCRIBE HISTORY {store.address(settings, table)}")
    is_append = (F.col("operation") == "WRITE") & (F.col("operationParameters")["mode"] == "Append")
    return not history.where(is_append & (F.col("version") >= last["reservoirVersion"])).isEmpty()


def _numbered(spark: SparkSession, folder: str) -> dict[int, str]:
    """Texts of the numbered files of a checkpoint; Spark keeps the newest hundred."""
    files = spark.read.text(folder, wholetext=True).select("value", F.col("_metadata.file_name").alias("name"))
    return {int(row["name"]): row["value"] for row in files.collect() if row["name"].isdigit()}
