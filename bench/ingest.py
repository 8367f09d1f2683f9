"""What trust costs: ingest and clean against plain Spark copying the same files into a Delta table, and a day on a long history.

`python bench/ingest.py --events 10000000 --history 2000000 20000000 --day 200000`

Figures: ratio_to_plain_copy, and the seconds behind it; ratio_of_writing_twice: what is left of it where nothing is judged, the files
copied into a table and raw_events into another; increment_ratio_20m_over_2m: the time to add a day to the longer history over that of the
shorter one, after a day on a day, which is not counted. Files are made by Spark: JSON lines, gz, one per 250,000 events, in
the form of the embedded shop's export. All that is compared did the same before to a small log, in the same session: neither side pays for
Java's first reading and compiling of it.
"""

import argparse
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

import figures
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import session, tables
from promoloop.cli import jobs
from promoloop.settings import Settings, load

USERS, ITEMS, PER_FILE, WARM = 100_000, 5_000, 250_000, 500_000


say = partial(figures.say, "ingest")


def draw(stream: int, below: int) -> Column:
    return F.pmod(F.xxhash64(F.lit(stream), "id"), F.lit(below))


def raw_events(spark: SparkSession, count: int, first_day: str, days: int, first_id: int = 0) -> DataFrame:
    """Raw events of the shop's export: views mostly, times over `days`; grain: one event."""
    kind = draw(1, 123)
    moment = F.expr(f"timestamp'{first_day}'") + F.make_dt_interval(secs=draw(2, days * 86_400).cast("double"))
    event_type = F.when(kind < 119, "view").when(kind < 122, "cart").otherwise("purchase")
    return spark.range(first_id, first_id + count, 1, max(1, count // PER_FILE)).select(
        F.concat(F.lit("E"), F.hex(F.xxhash64("id"))).alias("event_id"),
        event_type.alias("event_type"),
        F.concat(F.lit("U"), draw(3, USERS)).alias("user"),
        F.concat(F.lit("S"), draw(4, count // 8)).alias("session"),
        F.concat(F.lit("I"), draw(5, ITEMS)).alias("item"),
        F.date_format(moment, "yyyy-MM-dd'T'HH:mm:ss'Z'").alias("time"),
        F.when(event_type == "purchase", 1).alias("quantity"),
        F.round(10 + draw(5, ITEMS) / 100, 2).alias("price"),
        F.lit("web").alias("channel"),
    )


def put(rows: DataFrame, landing: Path, entity: str, batch: str) -> None:
    lines = rows.select(F.to_json(F.struct("*")))
    lines.write.mode("overwrite").option("compression", "gzip").text(str(landing / entity / batch))
    for part in (landing / entity / batch).glob("part-*.txt.gz"):
        part.rename(part.with_name(part.name.replace(".txt.gz", ".json.gz")))


def put_shop(spark: SparkSession, landing: Path) -> None:
    users = spark.range(USERS).select(F.concat(F.lit("U"), "id").alias("user"), F.lit(True).alias("consent"))
    items = spark.range(ITEMS).select(F.concat(F.lit("I"), "id").alias("item"), F.round(10 + F.col("id") / 100, 2).alias("price"))
    put(users, landing, "users", "all")
    put(items, landing, "items", "all")
    for entity in ("promotions", "past_offers"):
        put(spark.createDataFrame([], "promotion string"), landing, entity, "all")
        (landing / entity / "all" / "none.json.gz").touch()


def settings_in(folder: Path) -> Settings:
    places = [f"paths.{name}={folder / name}" for name in ("tables", "vault", "landing", "checkpoints", "models")]
    return load(["local"], [*places, f"paths.out={folder}", "events.bot_events_per_hour=1000000", "events.bot_dwell_seconds=0"])


def timed(spark: SparkSession, settings: Settings) -> tuple[float, float]:
    """Seconds of ingest and of clean."""
    start = time.monotonic()
    jobs.load("ingest_events")(spark, settings)
    middle = time.monotonic()
    jobs.load("clean_events")(spark, settings)
    return middle - start, time.monotonic() - middle


def copy(spark: SparkSession, landing: Path, target: Path) -> float:
    """Seconds plain Spark takes to read the same files and write them into a Delta table."""
    start = time.monotonic()
    fields = "event_id string, event_type string, user string, session string, item string, channel string"
    schema = f"{fields}, time timestamp, quantity int, price decimal(18,2)"
    spark.read.schema(schema).json(f"{landing}/events/*/*.json.gz").write.format("delta").save(str(target))
    return time.monotonic() - start


def copy_again(spark: SparkSession, settings: Settings, target: Path) -> float:
    """Seconds plain Spark takes to read the rows of raw_events and write them into another Delta table."""
    start = time.monotonic()
    tables.read(spark, settings, tables.RAW_EVENTS).write.format("delta").save(str(target))
    return time.monotonic() - start


def seconds(spark: SparkSession, count: int, folder: Path) -> tuple[float, float, float, float]:
    """Seconds of a plain copy of `count` events, of ingest and clean, and of copying what ingest wrote."""
    settings, landing = settings_in(folder), folder / "landing"
    put_shop(spark, landing)
    put(raw_events(spark, count, "2026-01-01", 30), landing, "events", "2026-01-01_2026-01-31")
    plain = copy(spark, landing, folder / "plain")
    return plain, *timed(spark, settings), copy_again(spark, settings, folder / "again")


def ratio(spark: SparkSession, count: int, folder: Path) -> None:
    seconds(spark, WARM, folder / "warm")
    plain, ingested, cleaned, again = seconds(spark, count, folder)
    size = f"{count} events"
    say("seconds_plain_copy", plain, "s", size)
    say("seconds_ingest", ingested, "s", size)
    say("seconds_clean", cleaned, "s", size)
    say("seconds_copy_of_raw_events", again, "s", size)
    say("ratio_to_plain_copy", (ingested + cleaned) / plain, "times", size)
    say("ratio_of_writing_twice", (plain + again) / plain, "times", size)


def increment(spark: SparkSession, history: int, day: int, folder: Path) -> float:
    """Seconds to ingest and clean a day of `day` events onto `history` accepted ones, `day` a day."""
    settings = settings_in(folder)
    landing = folder / "landing"
    put_shop(spark, landing)
    put(raw_events(spark, day, "2026-03-01", 1, first_id=10**12), landing, "events", "2026-03-01_2026-03-02")
    days = max(1, history // day)
    for number in range(days):
        of_day = raw_events(spark, day, "2026-02-28", 1, first_id=number * day)
        _append_day(of_day, settings, number)
    return sum(timed(spark, settings))


def _append_day(raw: DataFrame, settings: Settings, number: int) -> None:
    occurred = F.to_timestamp("time") - F.make_dt_interval(days=F.lit(number))
    given = {"user_id": F.sha2("user", 256), "session_id": F.col("session"), "item_id": F.col("item"), "occurred_at": occurred}
    given |= {"occurred_on": occurred.cast("date"), "batch_id": F.lit(f"day-{number}"), "record_id": F.xxhash64("event_id")}
    given |= {"fingerprint": F.xxhash64("event_id", F.lit(1)), "price": F.col("price").cast("decimal(18,2)")}
    columns = [
        (given[c.name] if c.name in given else F.col(c.name) if c.name in raw.columns else F.lit(None)).cast(c.type).alias(c.name)
        for c in tables.EVENTS.columns
    ]
    tables.append_once(raw.select(*columns), settings, tables.EVENTS, "bench", number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--history", type=int, nargs="*", default=[], help="two sizes of history, the shorter first")
    parser.add_argument("--day", type=int, default=200_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="promoloop-ingest-"))
    try:
        with session.opened(load(["local"])) as spark:
            if options.events:
                ratio(spark, options.events, folder / "ratio")
            if options.history:
                increment(spark, options.day, options.day, folder / "warm")
            increments = [increment(spark, size, options.day, folder / f"history-{size}") for size in options.history]
            for size, taken in zip(options.history, increments, strict=True):
                say("seconds_increment", taken, "s", f"{options.day} onto {size} events")
            if len(increments) == 2:
                size = f"{options.day} onto {options.history[1]} and {options.history[0]}"
                say("increment_ratio_20m_over_2m", increments[1] / increments[0], "times", size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
