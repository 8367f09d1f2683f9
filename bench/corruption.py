"""Twenty kinds of corruption against ingest and clean, and clean batches that must pass.

`python bench/corruption.py --clean 100 [--kind NAME]`: figures caught, of, false_stops, clean_batches. Each kind spoils the fourth
day of a small shop; it is caught where the job stops with the line expected, or every spoilt record is rejected for the reason expected
(and the job stops, naming it, where they are too many), or (a file sent twice, files in another order, an empty file) the events are
exactly those of the sound day. `tests/jobs/test_corruption.py` is its short form.
"""

import argparse
import gzip
import json
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import figures
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import session, tables
from promoloop.cli import jobs
from promoloop.errors import UserError
from promoloop.settings import Settings, load

Event = dict[str, Any]
FIRST, ROWS, USERS, ITEMS = date(2026, 1, 1), 1500, 200, 50


def day_of_events(number: int) -> list[Event]:
    """A sound day: mostly views, in the afternoon and evening."""
    rng = random.Random(number)
    found = []
    for row in range(ROWS):
        hour = rng.choice((9, 12, 14, 15, 16, 18, 19, 19, 20, 20, 21, 21))
        moment = datetime.combine(FIRST + timedelta(days=number), datetime.min.time()) + timedelta(hours=hour, seconds=rng.random() * 3600)
        kind = rng.choices(("view", "cart", "purchase", "review"), (90, 6, 3, 1))[0]
        item = rng.randrange(ITEMS)
        event: Event = {
            "event_id": f"e{number}-{row}",
            "event_type": kind,
            "user": f"u{rng.randrange(USERS)}",
            "session": f"s{number}-{row // 3}",
        }
        event |= {"item": f"i{item}", "time": moment.isoformat(timespec="milliseconds") + "Z", "price": 10.0 + item, "channel": "web"}
        if kind == "purchase":
            event |= {"quantity": 1, "order": f"r{number}-{row}"}
        if kind == "review":
            event |= {"rating": 4, "text": "Très bien"}
        found.append(event)
    return found


def put(landing: Path, entity: str, batch: str, rows: list[Event], name: str = "part-0", encoding: str = "utf-8") -> Path:
    path = landing / entity / batch / f"{name}.json.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(encoding)))
    return path


def put_known(landing: Path) -> None:
    """The users and items that the days speak of."""
    put(landing, "users", "all", [{"user": f"u{n}", "consent": True} for n in range(USERS)])
    put(landing, "items", "all", [{"item": f"i{n}", "price": 10.0 + n} for n in range(ITEMS)])


def batch_of(number: int) -> str:
    return f"{FIRST + timedelta(days=number)}_{FIRST + timedelta(days=number + 1)}"


Spoil = Callable[[Path, str, list[Event]], Collection[int]]
"""Lands a spoilt day; returns the places in their file of the records that can be told to be wrong one by one."""


@dataclass(frozen=True)
class Kind:
    """How a day is spoilt, and what must come of it: a line the job stops with, each spoilt record's reason, or a sound day's events."""

    spoil: Spoil
    stops: str | None = None
    reason: str | None = None


def each(change: Callable[[Event], Event], share: float = 1.0) -> Spoil:
    """Change the first `share` of the records."""

    def spoil(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
        some = int(len(rows) * share)
        put(landing, "events", batch, [change(dict(row)) if place < some else row for place, row in enumerate(rows)])
        return range(some)

    return spoil


def shift(hours: float) -> Callable[[Event], Event]:
    return lambda row: row | {"time": (datetime.fromisoformat(row["time"]) + timedelta(hours=hours)).isoformat()}


def skewed(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    """Half of the records come from a clock ten hours ahead. Of what it puts on the same day still, nothing shows that it is wrong."""
    ahead = each(shift(10), 0.5)(landing, batch, rows)
    closed = datetime.fromisoformat(f"{batch.split('_')[1]}T00:00:00+00:00")  # rules count whole seconds after it
    return [place for place in ahead if datetime.fromisoformat(shift(10)(rows[place])["time"]) >= closed + timedelta(seconds=1)]


def collided(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    """Thirty records under the id of the last. Whose it is nothing tells: the first received keeps it, and the last is rejected too."""
    put(landing, "events", batch, [row | {"event_id": rows[-1]["event_id"]} if place < 30 else row for place, row in enumerate(rows)])
    return [*range(1, 30), len(rows) - 1]


def cut(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    path = put(landing, "events", batch, rows)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return ()


def twice(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    put(landing, "events", batch, rows)
    put(landing, "events", batch, rows, "part-1")
    return ()


def reordered(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    put(landing, "events", batch, rows[700:][::-1], "part-0")
    put(landing, "events", batch, rows[:700][::-1], "part-1")
    return ()


def with_empty_file(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    put(landing, "events", batch, rows)
    put(landing, "events", batch, [], "part-1")
    (landing / "events" / batch / "part-2.json.gz").touch()
    return ()


def bots(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    """A flood of views by a known user, whose other records of that day are then rejected too."""
    start = datetime.fromisoformat(rows[0]["time"])
    flood = [rows[0] | {"event_id": f"bot{n}", "event_type": "view", "time": (start + timedelta(seconds=n)).isoformat()} for n in range(70)]
    put(landing, "events", batch, rows + [row | {"user": "u0"} for row in flood])
    return range(len(rows), len(rows) + len(flood))


def in_another_encoding(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    put(landing, "events", batch, rows, encoding="utf-16")
    return range(len(rows))


def few(landing: Path, batch: str, rows: list[Event]) -> Collection[int]:
    put(landing, "events", batch, rows[:30])
    return ()


def in_2099(row: Event) -> Event:
    return row | {"time": "2099" + row["time"][4:]}


def renamed(row: Event) -> Event:
    return {"uid" if name == "user" else name: value for name, value in row.items()}


def rotated(row: Event) -> Event:
    names = ("event_id", "event_type", "user", "session", "item", "time")
    return row | {name: row[names[place - 1]] for place, name in enumerate(names)}


KINDS: dict[str, Kind] = {
    "truncated gz": Kind(cut, stops=r"part-0\.json\.gz cannot be read to its end"),
    "wrong encoding": Kind(in_another_encoding, reason="record: not readable"),
    # four rules break on every record; the job names the first of them
    "shifted columns": Kind(each(rotated), reason="event_type: unknown"),
    "type change": Kind(each(lambda row: row | {"price": {"amount": row["price"]}}), reason="price: not an amount of money"),
    "unit change": Kind(each(lambda row: row | {"price": row["price"] * 100}), reason="price: far from the item's list price"),
    "duplicate files": Kind(twice),
    "reordered files": Kind(reordered),
    "clock skew": Kind(skewed, reason="occurred_at: after the batch was closed"),
    "time-zone slip": Kind(each(shift(-8)), stops="another time zone"),
    "null flood": Kind(each(lambda row: row | {"user": None}, 0.3), reason="user_id: missing"),
    "key collision": Kind(collided, reason="event_id: used by another event"),
    "unknown vocabulary": Kind(each(lambda row: row | {"event_type": "browse"}, 0.5), reason="event_type: unknown"),
    "negative price": Kind(each(lambda row: row | {"price": -row["price"]}, 0.02), reason="price: not positive"),
    "future dates": Kind(each(in_2099, 0.02), reason="occurred_at: after the batch was closed"),
    "referential break": Kind(each(lambda row: row | {"item": f"x{row['item']}"}), reason="item_id: unknown item"),
    "schema drift": Kind(each(renamed), reason="user_id: missing"),
    "empty file": Kind(with_empty_file),
    "bot flood": Kind(bots, reason="user_id: a bot"),
    "volume collapse": Kind(few, stops="volume: events a day far from usual"),
    "distribution shift": Kind(each(lambda row: row | {"event_type": "cart"}, 0.8), stops="event_type: shares far from usual"),
}


class Shop:
    """A small shop with three sound days behind it, put back before each kind."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder, self.work, self.kept = spark, folder, folder / "work", folder / "kept"
        self.landing = self.work / "landing"
        places = [f"paths.{name}={self.work / name}" for name in ("tables", "vault", "landing", "checkpoints", "models")]
        today = FIRST + timedelta(days=4)  # events long past would stop the job
        self.settings: Settings = load(["ci"], [*places, f"paths.out={self.work}", f"run.as_of={today}"])
        put_known(self.landing)
        for number in range(3):
            put(self.landing, "events", batch_of(number), day_of_events(number))
            self.run()
        shutil.copytree(self.work, self.kept)

    def run(self) -> None:
        """Ingest and clean what has landed."""
        jobs.load("ingest_events")(self.spark, self.settings)
        jobs.load("clean_events")(self.spark, self.settings)

    def is_caught(self, kind: Kind) -> bool:
        """Whether a fourth day spoilt this way ends as it must."""
        shutil.rmtree(self.work)
        shutil.copytree(self.kept, self.work)
        spoilt = set(kind.spoil(self.landing, batch_of(3), day_of_events(3)))
        must_stop = kind.stops is not None or len(spoilt) > self.settings.events.max_rejected_share * ROWS
        try:
            self.run()
        except UserError as error:
            return must_stop and is_named(kind, len(spoilt), str(error))
        if must_stop:
            return False
        if kind.reason is not None:
            rejected = tables.read(self.spark, self.settings, tables.EVENTS_REJECTED).where(F.col("batch_id") == batch_of(3))
            return spoilt <= places_with(kind.reason, rejected)
        day = tables.read(self.spark, self.settings, tables.EVENTS).where(F.col("batch_id") == batch_of(3))
        return day.count() == day.select("event_id").distinct().count() == ROWS


def is_named(kind: Kind, spoilt: int, line: str) -> bool:
    """Whether the line that a job stopped with says what is expected; of single records, that the rule broke on all those spoilt."""
    if kind.reason is None:
        return kind.stops is not None and bool(re.search(kind.stops, line))
    told = re.search(rf"rule '{re.escape(kind.reason)}' broke on (\d+) rows", line)
    return told is not None and int(told[1]) >= spoilt  # more: UTF-16 ends in another line


def places_with(reason: str, rejected: DataFrame) -> set[int]:
    """Places in their file of the records of one file that were rejected for `reason`."""
    return {row["row_number"] for row in rejected.where(F.array_contains("reasons", reason)).select("row_number").collect()}


say = partial(figures.say, "corruption", unit="count")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", type=int, default=100)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), default=None)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="promoloop-corruption-"))
    try:
        with session.opened(load(["ci"])) as spark:
            shop = Shop(spark, folder)
            chosen = options.kind or list(KINDS)
            missed = [name for name in chosen if not shop.is_caught(KINDS[name])]
            say("caught", len(chosen) - len(missed), size=f"{ROWS} records a day")
            say("of", len(chosen), size=f"missed: {', '.join(missed) or 'none'}")
            shutil.rmtree(shop.work)
            shutil.copytree(shop.kept, shop.work)
            stops = 0
            for number in range(3, 3 + options.clean):
                put(shop.landing, "events", batch_of(number), day_of_events(number))
                try:
                    shop.run()
                except UserError:
                    stops += 1
            say("false_stops", stops, size=f"{ROWS} records a day")
            say("clean_batches", options.clean, size=f"{ROWS} records a day")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
