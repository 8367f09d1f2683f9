"""Lists that follow events: how good folding in is against training anew, and how fresh lists are under load with a kill in the middle.

    python bench/realtime.py [--users N] [--rank 64] [--seconds 60] [--rate 200] [--only quality|freshness] [--writer files|spark]
                             [--no-standby]

foldin_over_retrain   completejourney: items trained up to a week before the holdout (its last 28 days), users folded in with that week's
                      events, against items trained with that week too; NDCG@10 by factors alone, over users with events in that week.
freshness_p99_seconds a shop of 2,000 users and 1,000 items; events land `rate` a second, in a commit each second, while
                      jobs/stream_recommendations.py runs as a process of its own, and another stands by; midway the first is killed (-9).
                      With `--no-standby` it is started again instead. What lands is written before, by Delta in a copy of the table, and
                      moved into it, so that the stream has the cores; with `--writer spark` a session of Spark's appends it, on the same
                      cores. Per event: from the commit that landed it (its log file's time) to the take that has merged it (its file in
                      the checkpoint). Over all events, those of the change of processes among them; apart: over those that landed clear
                      of it. It matters how far into a take the kill comes: `take_to_kill_seconds` since the one before was done.
events_lost           events that no finished take covers, or whose user's list is not what all of the events give.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import figures
import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from recommend import HOLDOUT_DAYS, K, als_lists, completejourney, measure, shop_of, split

from promoloop import home, registry, session, tables
from promoloop.recommenders import content, interactions, model, ranker, realtime, training
from promoloop.recommenders.model import Model
from promoloop.recommenders.training import Shop
from promoloop.settings import Settings, load

AS_OF = date(2026, 3, 2)
_MARK = "_last_checkpoint"


def quality(spark: SparkSession, users: int | None, rank: int) -> dict[str, object]:
    """Folding in against training anew."""
    chosen = {
        "rank": rank,
        "iterations": 10,
        "regularisation": 0.05,
        "alpha": 1.0,
        "half_life_days": 90,
        "weight_purchase": 1,
        "list_size": K,
    }
    plain = {
        "category_cap": K,
        "diversity": 0,
        "exploration": 0,
        "repeatable_from": 0,
        "price_ceiling": 1e6,
        "trials": "[]",
        "popularity_by": '["age_band"]',
    }
    own = load(["local"], [f"recommenders.{name}={value}" for name, value in {**chosen, **plain}.items()]).recommenders
    events, people, items = completejourney()
    known, later, day = split(events, users)
    shop = shop_of(spark, known, people, items)
    week_before = day - timedelta(days=7)
    fresh = shop.events.where(F.col("occurred_on") >= F.lit(week_before)).select("user_id").distinct()
    relevant = spark.createDataFrame(later).join(fresh, "user_id").cache()
    vectors = content.per_item(shop.items, own.content_width).cache()
    now = interactions.per_user_item(shop.events, day, own).cache()
    found = {}
    for name, trained_on in (("retrained", day), ("folded_in", week_before), ("stale", week_before)):
        strengths = interactions.per_user_item(shop.events, trained_on, own).cache()
        learned = training.item_side(shop.items, strengths, own, 7, 2)
        users_then, goods = training.serving_side(shop, strengths if name == "stale" else now, vectors, learned, own)
        found[name] = measure(als_lists(users_then, goods, own), relevant)["ndcg10"]
        strengths.unpersist()
    ratio = round(found["folded_in"] / found["retrained"], 4)
    return {
        "ndcg10": found,
        "users": relevant.select("user_id").distinct().count(),
        "holdout_days": HOLDOUT_DAYS,
        "foldin_over_retrain": ratio,
    }


def small_shop(spark: SparkSession, settings: Settings, seed: int = 5) -> None:
    """Tables of 2,000 users, 1,000 items of ten tastes and 100,000 events before AS_OF, and a recommender."""
    users = spark.range(2000).select(
        F.format_string("u%04d", "id").alias("user_id"),
        F.array(F.lit("push")).alias("channels"),
        F.lit(True).alias("has_consent"),
        *[F.lit(None).cast("string").alias(name) for name in ("age_band", "gender", "region", "occupation", "income_band")],
        F.lit(None).cast("date").alias("joined_on"),
    )
    items = spark.range(1000).select(
        F.format_string("i%04d", "id").alias("item_id"),
        F.format_string("Taste %d", F.col("id") % 10).alias("category"),
        F.format_string("Brand %d", F.col("id") % 37).alias("brand"),
        F.lit(5).cast("decimal(18,2)").alias("price"),
        F.lit(3).cast("decimal(18,2)").alias("unit_cost"),
        F.lit(100).cast("bigint").alias("stock"),
        F.format_string("Thing %d", "id").alias("text"),
    )
    tables.replace_table(users, settings, tables.USERS)
    tables.replace_table(items, settings, tables.ITEMS)
    days_ago = (1 + F.pmod(F.xxhash64("id", F.lit(seed)), F.lit(40))).cast("int")
    tables.append_once(events_of(spark.range(100_000), F.date_sub(F.lit(AS_OF), days_ago), "past"), settings, tables.EVENTS, "bench", 0)
    own, shop = settings.recommenders, Shop(*(tables.read(spark, settings, table) for table in (tables.EVENTS, tables.USERS, tables.ITEMS)))
    trained = training.train(shop, AS_OF, own, settings.run.seed, 2)
    registry.log_document(settings, model.NAME, trained.model.to_document(), trained.figures, model.params(trained.settings))


def events_of(numbers: DataFrame, day, batch: str) -> DataFrame:  # type: ignore[no-untyped-def]
    """An event per number: a hashed user, an item of the user's taste, a view or (one in five) a purchase."""
    user = F.pmod(F.xxhash64("id", F.lit("user")), F.lit(2000))
    item = F.pmod(F.xxhash64("id", F.lit("item")), F.lit(100)) * 10 + user % 10
    stated = {
        "event_id": F.format_string(f"{batch}-%d", "id"),
        "record_id": F.xxhash64(F.lit(batch), "id"),
        "fingerprint": F.xxhash64(F.lit(batch), "id"),
        "event_type": F.when(F.col("id") % 5 == 0, "purchase").otherwise("view"),
        "user_id": F.format_string("u%04d", user),
        "item_id": F.format_string("i%04d", item),
        "occurred_on": day,
        "occurred_at": day.cast("timestamp"),
        "quantity": F.lit(1),
        "batch_id": F.lit(batch),
    }
    return numbers.select([stated.get(column.name, F.lit(None)).cast(column.type).alias(column.name) for column in tables.EVENTS.columns])


def second_of_events(spark: SparkSession, second: int, rate: int) -> DataFrame:
    """What lands in one second."""
    return events_of(spark.range(second * rate, (second + 1) * rate, 1, 1), F.lit(AS_OF).cast("date"), "now")


def by_spark(spark: SparkSession, settings: Settings, seconds: int, rate: int) -> Callable[[int], object]:
    """Lands the events of a second by Spark."""
    return lambda second: tables.append_once(second_of_events(spark, second, rate), settings, tables.EVENTS, "bench", second + 1)


def by_files(spark: SparkSession, settings: Settings, seconds: int, rate: int) -> Callable[[int], object]:
    """Lands the events of a second by moving what Delta wrote before, in a copy of the table: data, commit, its sum, its checkpoint."""
    there, stage = Path(settings.paths.tables) / "events", settings.at(tables=f"{settings.paths.tables}/landing")
    here = Path(stage.paths.tables) / "events"
    shutil.copytree(there, here)
    append, first, marks = by_spark(spark, stage, seconds, rate), _version(there / "_delta_log") + 1, {}
    for second in range(seconds):
        append(second)
        marks[second] = (here / "_delta_log" / _MARK).read_text() if (here / "_delta_log" / _MARK).exists() else None

    def land(second: int) -> None:
        name = f"_delta_log/{first + second:020}"
        commit = here / f"{name}.json"
        for added in (json.loads(line).get("add") for line in commit.read_text().splitlines()):
            if added:
                (here / added["path"]).rename(there / added["path"])
        os.utime(commit)  # when it landed
        for kind in ("json", "crc", "checkpoint.parquet"):
            if (here / f"{name}.{kind}").exists():
                (here / f"{name}.{kind}").rename(there / f"{name}.{kind}")
        if marks[second] is not None:
            (here / _MARK).write_text(marks[second])
            (here / _MARK).rename(there / "_delta_log" / _MARK)

    return land


def freshness(
    spark: SparkSession,
    settings: Settings,
    overrides: list[str],
    seconds: int,
    rate: int,
    writer: Callable[..., Callable[[int], object]],
    has_standby: bool,
) -> dict[str, object]:
    """Events land while the stream is up, is killed, and another goes on."""
    small_shop(spark, settings)
    land = writer(spark, settings, seconds, rate)
    events_log = Path(settings.paths.tables) / "events" / "_delta_log"
    checkpoint = Path(tables.checkpoint(settings, "stream_recommendations"))
    first, landed, killed_at = _version(events_log) + 1, {}, 0.0
    stream = _started(overrides)
    streams = [stream]
    try:
        _wait_for(lambda: (checkpoint / "commits" / "0").exists(), stream)
        if has_standby:
            said = Path(settings.paths.out).with_name("standby.log")
            streams.append(_started([*overrides, "recommenders.stream_standby=true"], said))
            _wait_for(lambda: "standing by" in said.read_text(), streams[1])
        for second in range(seconds):
            begin = time.time()
            land(second)
            landed[first + second] = rate
            if second == seconds // 2:
                os.kill(stream.pid, signal.SIGKILL)  # the Python process alone: Java has to notice, as it would
                killed_at = time.time()
                if not has_standby:
                    streams.append(_started(overrides))
                stream = streams[1]
            time.sleep(max(0.0, 1 - (time.time() - begin)))
        _wait_for(lambda: _covered(checkpoint) >= max(landed), stream)
    finally:
        for one in streams:
            _end(one)
    done, arrived = _takes(checkpoint), {version: (events_log / f"{version:020}.json").stat().st_mtime for version in landed}
    waits, kept_waiting = {}, []
    for version in landed:
        finished = min((at for covered, at in done if covered >= version), default=None)
        if finished is not None:
            waits[version] = finished - arrived[version]
    back = min((at for _, at in done if at > killed_at), default=killed_at)
    kept_waiting = [version for version in waits if killed_at - 15 <= arrived[version] <= back]
    steady = [wait for version, wait in waits.items() if version not in kept_waiting]
    return {
        "events": len(landed) * rate,
        "takes": len(done),
        "seconds_between_takes": round(float(np.median(np.diff(sorted(at for _, at in done)))), 2),
        "freshness_p50_seconds": round(float(np.percentile(list(waits.values()), 50)), 2),
        "freshness_p99_seconds": round(float(np.percentile(list(waits.values()), 99)), 2),
        "freshness_most_seconds": round(max(waits.values()), 2),
        "freshness_p99_clear_of_kill_seconds": round(float(np.percentile(steady, 99)), 2),
        "take_to_kill_seconds": round(killed_at - max(at for _, at in done if at <= killed_at), 1),
        "kill_to_next_take_seconds": round(back - killed_at, 1),
        "events_lost": (len(landed) - len(waits)) * rate + _wrong(spark, settings, first),
    }


def _started(overrides: list[str], said: Path | None = None) -> subprocess.Popen[bytes]:
    job = Path(str(home.folder("jobs"))) / "stream_recommendations.py"
    command = [sys.executable, str(job), "--config", "local", *(part for one in overrides for part in ("--set", one))]
    return subprocess.Popen(
        [*command, "--set", "recommenders.stream_every_seconds=1"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=said.open("wb") if said is not None else None,
    )


def _end(stream: subprocess.Popen[bytes]) -> None:
    """End the process and all it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(stream.pid, signal.SIGKILL)
    stream.wait()


def _wait_for(is_done, stream: subprocess.Popen[bytes], limit: float = 150.0) -> None:  # type: ignore[no-untyped-def]
    until = time.time() + limit
    while not is_done():
        if time.time() > until or stream.poll() is not None:
            raise SystemExit("the stream did not get there")
        time.sleep(0.2)


def _version(log: Path) -> int:
    return max(int(entry.stem) for entry in log.glob("*.json") if entry.stem.isdigit())


def _takes(checkpoint: Path) -> list[tuple[int, float]]:
    """(last version of events wholly covered, time it was done) of each finished take, from the stream's own checkpoint."""
    takes = []
    for commit in (checkpoint / "commits").glob("[0-9]*"):
        lines = (checkpoint / "offsets" / commit.name).read_text().splitlines()
        offset = json.loads(lines[-1])
        takes.append((offset["reservoirVersion"] - (offset["index"] < 0), commit.stat().st_mtime))
    return takes


def _covered(checkpoint: Path) -> int:
    return max((version for version, _ in _takes(checkpoint)), default=-1)


def _wrong(spark: SparkSession, settings: Settings, first: int) -> int:
    """Events of users whose list is not the one that all events give."""
    own, known = settings.recommenders, tables.read(spark, settings, tables.EVENTS)
    shop = Shop(known, tables.read(spark, settings, tables.USERS), tables.read(spark, settings, tables.ITEMS))
    learned = Model.from_document(registry.load_document(settings, model.NAME, model.TRAINED_BY)[0])
    past = realtime.Past(AS_OF, interactions.sums(known, AS_OF, own))
    _, goods = training.serving_side(shop, interactions.settled(past.sums), content.per_item(shop.items, own.content_width), learned, own)
    new = known.where(F.col("batch_id") == "now")
    judge, seed = ranker.from_document(learned.ranker), settings.run.seed + AS_OF.toordinal()
    whom = shop.users.join(realtime.touched(new, AS_OF), "user_id", "left_semi")
    expected = realtime.refresh(whom, past, known, shop.items, goods, judge, own, seed).where("NOT is_gone")
    lists = tables.read(spark, settings, tables.ITEM_RECOMMENDATIONS).select("user_id", "rank", "item_id")
    wrong = expected.select("user_id", "rank", "item_id").exceptAll(lists).select("user_id").distinct()
    return new.join(wrong, "user_id").count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--only", choices=["quality", "freshness"])
    parser.add_argument("--writer", choices=["files", "spark"], default="files")
    parser.add_argument("--no-standby", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        places = [f"paths.{name}={folder}/{name}" for name in ("tables", "vault", "landing", "checkpoints", "models", "out")]
        overrides = [*places, f"run.as_of={AS_OF.isoformat()}", "spark.driver_memory=2g"]
        with session.opened(load(["local"], overrides), is_stream=options.only == "freshness") as spark:
            if options.only != "freshness":
                found = quality(spark, options.users, options.rank)
                figures.say("realtime", "foldin_over_retrain", found.pop("foldin_over_retrain"), "times", found.pop("users"), **found)
            if options.only != "quality":
                writer = by_files if options.writer == "files" else by_spark
                has_standby, own = not options.no_standby, load(["local"], overrides)
                found = freshness(spark, own, overrides, options.seconds, options.rate, writer, has_standby)
                written = f"written by {options.writer}, {'a standby' if has_standby else 'no standby'}"
                size = f"{found.pop('events')} events, {options.rate} a second, {written}"
                for name, value in found.items():
                    figures.say("realtime", name, value, "s" if "seconds" in name else "count", size)


if __name__ == "__main__":
    started = datetime.now()
    main()
    print(f"{(datetime.now() - started).total_seconds():.0f} s", file=sys.stderr)
