"""Channel files: what each channel has to send, as CSV, by pseudonym. Only the shop, which holds the key, can address anyone."""

from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_ROWS_PER_FILE = 1_000_000


def write(offers: DataFrame, promotions: DataFrame, out: str, run_id: str) -> str:
    """Write the offers sent of a run under `out`/channels/`run_id`/channel=NAME/, one row each, replacing those of a run before.

    Columns: offer_id, user_id, promotion_id, promotion (its name), code, valid_from_at, valid_until_at. Returns the folder.
    """
    folder = f"{out if ':' in out else Path(out).resolve()}/channels/{run_id}"
    sent = offers.where("is_sent").join(F.broadcast(promotions.select("promotion_id", F.col("name").alias("promotion"))), "promotion_id")
    rows = sent.select("channel", "offer_id", "user_id", "promotion_id", "promotion", "code", "valid_from_at", "valid_until_at")
    ordered = rows.repartition("channel").sortWithinPartitions("channel", "user_id", "offer_id")
    writer = ordered.write.partitionBy("channel").mode("overwrite").option("header", True).option("maxRecordsPerFile", _ROWS_PER_FILE)
    writer.csv(folder)
    return folder
