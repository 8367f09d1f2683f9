"""Every row of UCI Online Retail accounted for: what plain Spark counts in the files against what ingest and clean made of them.

`python bench/reconciliation.py --path FOLDER` (a folder of the data set's csv files by day). Per kind of trouble one figure, the rows of
the files that show it, with how they were judged (accepted, rejected, duplicate, or lost: not one of these); accounted is whether they
add up, none is lost and, where a rule forbids the trouble, whether each was rejected with its reason. Of all rows the counts must be those
that the job itself gives.
"""

import argparse
import shutil
import tempfile
from functools import partial
from pathlib import Path

import figures
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import events, session, tables
from promoloop.cli import jobs
from promoloop.settings import Settings, load

_FIELDS = "InvoiceNo string, StockCode string, Description string, Quantity string, InvoiceDate string, UnitPrice string, "
_FIELDS += "CustomerID string, Country string"
# kind: what plain Spark looks for in the files, the same in raw_events, the reason a rule gives where it forbids it
_TROUBLES: dict[str, tuple[str, str, str | None]] = {
    "rows": ("true", "true", None),
    "null_customers": ("CustomerID is null", "user_id is null", "user_id: missing"),
    "cancellations": ("InvoiceNo like 'C%'", "order_id like 'C%'", None),
    "non_positive_prices": ("double(UnitPrice) <= 0", "price <= 0", "price: not positive"),
}
_TOO_SMALL = "double(UnitPrice) > 0 and round(double(UnitPrice), 2) = 0"  # money has two decimals here: not positive either


say = partial(figures.say, "reconciliation", unit="rows", size="online_retail")


def judged(spark: SparkSession, settings: Settings) -> DataFrame:
    """raw_events with `verdict` and `reasons`; grain kept. A duplicate says what an accepted record says; what is nowhere is lost."""
    raw = events.add_identity(tables.read(spark, settings, tables.RAW_EVENTS))
    known = tables.read(spark, settings, tables.EVENTS)
    accepted = known.select("record_id", F.lit(True).alias("is_accepted"))
    said = known.select("fingerprint", F.lit(True).alias("is_said")).distinct()
    rejected = tables.read(spark, settings, tables.EVENTS_REJECTED).select("source_file", "row_number", "reasons")
    verdict = F.when(F.col("is_accepted"), "accepted").when(F.col("reasons").isNotNull(), "rejected").when(F.col("is_said"), "duplicate")
    joined = raw.join(accepted, "record_id", "left").join(rejected, ["source_file", "row_number"], "left").join(said, "fingerprint", "left")
    return joined.withColumn("verdict", verdict.otherwise("lost")).cache()


def count(rows: DataFrame, condition: str | Column) -> int:
    return rows.where(condition).count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", type=Path, required=True)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="promoloop-reconciliation-"))
    places = [f"paths.{name}={folder / name}" for name in ("tables", "vault", "checkpoints", "models")]
    places += [f"paths.landing={options.path}", f"paths.out={folder}", "source.name=online_retail", "run.as_of=2011-12-10"]
    settings = load(["local"], [*places, "events.max_rejected_share=1"])  # a quarter of the rows names no customer
    try:
        with session.opened(settings) as spark:
            jobs.load("ingest_events")(spark, settings)
            outcome = jobs.load("clean_events")(spark, settings)
            told = {"accepted": outcome.rows_out, "rejected": outcome.rows_rejected, "duplicate": outcome.figures["rows_duplicate"]}
            rows = judged(spark, settings)
            files = spark.read.schema(_FIELDS).option("header", True).option("escape", '"').csv(f"{options.path}/*.csv").cache()
            for name, (in_files, in_table, reason) in _TROUBLES.items():
                found = {row["verdict"]: row["count"] for row in rows.where(in_table).groupBy("verdict").count().collect()}
                wanted = count(files, in_files)
                more = {"under_half_a_cent": count(files, _TOO_SMALL)} if name == "non_positive_prices" else {}
                judged_so = wanted + sum(more.values())
                adds_up = sum(found.values()) == judged_so and "lost" not in found
                if name == "rows":
                    adds_up &= all(found.get(verdict, 0) == number for verdict, number in told.items()) and wanted == outcome.rows_in
                if reason:
                    adds_up &= count(rows, F.array_contains("reasons", reason)) == judged_so == found.get("rejected", 0)
                say(name, wanted, accounted=adds_up, **found, **more)
            repeated = files.count() - files.distinct().count()
            again = rows.where("verdict = 'rejected'")
            content = ("order_id", "item_id", "text", "quantity", "occurred_at", "price", "user_id")
            quarantined = again.count() - again.select(*content).distinct().count()
            found = {"duplicate": int(outcome.figures["rows_duplicate"]), "rejected": quarantined}
            say("duplicate_rows", repeated, accounted=sum(found.values()) == repeated, **found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
