"""Channel files: what each channel has to send, as CSV, by pseudonym. Only the shop, which holds the key, can address anyone."""

from collections.abc import Collection
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import privacy

_ROWS_PER_FILE = 1_000_000


def runs(offers: DataFrame) -> list[str]:
    """Plans that `offers` speaks of: as many as there are channel folders."""
    return sorted(row["run_id"] for row in offers.select("run_id").distinct().collect())


def write(offers: DataFrame, promotions: DataFrame, out: str, run_id: str) -> str:
    """Write the offers sent of a run under `out`/channels/`run_id`/channel=NAME/, one row each, replacing those of a run before.

    Columns: offer_id, user_id, promotion_id, promotion (its name), code, valid_from_at, valid_until_at. Returns the folder.
    """
    folder = f"{_root(out)}/{run_id}"
    names = promotions.select("promotion_id", F.col("name").alias("promotion"))
    sent = offers.where(F.col("is_sent") & (F.col("run_id") == run_id)).join(F.broadcast(names), "promotion_id")
    rows = sent.select("channel", "offer_id", "user_id", "promotion_id", "promotion", "code", "valid_from_at", "valid_until_at")
    ordered = rows.repartition("channel").sortWithinPartitions("channel", "user_id", "offer_id")
    writer = ordered.write.partitionBy("channel").mode("overwrite").option("maxRecordsPerFile", _ROWS_PER_FILE)
    writer.csv(folder, header=True, escape='"')  # a quote is doubled, as RFC 4180 has it; Spark's own way is a backslash
    return folder


def count_naming(spark: SparkSession, out: str, names: Collection[str]) -> int:
    """Lines of all channel files that contain any of `names`."""
    return privacy.lines_naming(spark, _root(out), names)


def _root(out: str) -> str:
    return f"{out if ':' in out else Path(out).resolve()}/channels"
