"""Each record's verdict: accepted, rejected with all its reasons, or duplicate; and the rows each verdict makes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop import expectations, frames
from promoloop.errors import UserError
from promoloop.events import drift
from promoloop.events.facts import CONTENT, add_sessions, made_id
from promoloop.events.repeats import repeated_contents, repeated_ids
from promoloop.expectations import Rule
from promoloop.settings.data import EventsSettings

REUSED = "event_id: used by another event"


def add_verdicts(judged: DataFrame, history: DataFrame | None, has_own_ids: bool = False) -> DataFrame:
    """Add `verdict` (accepted, rejected or duplicate) to records with reasons (`judging.judge`). Same rows.

    `judged` is read several times: repeats are found now. `history`: events accepted before, of days near; None: there are none.
    `has_own_ids`: equal content under two ids is two events, else a repeat.
    """
    verdicts = _by_ids(judged, history)
    return verdicts if has_own_ids else _drop_equal_contents(verdicts, history)


def _by_ids(judged: DataFrame, history: DataFrame | None) -> DataFrame:
    """Add `verdict` (accepted, rejected, duplicate); a record whose id an accepted one with other content has gets REUSED as reason.

    `judged`: records with reasons. `history`: events accepted before, of days near. Same rows. A duplicate says what an
    accepted record says: the earliest received is accepted; copies of a rejected record are rejected like it.
    """
    sound = judged.where(F.size("reasons") == 0)
    by_id = judged.join(repeated_ids(sound, history), "event_id", "left")
    is_first = F.col("first_record_id").isNull() | (F.col("first_record_id") == F.col("record_id"))
    is_sound = F.size("reasons") == 0
    says_the_same = F.col("first_fingerprint") == F.col("fingerprint")
    once = by_id.withColumn(
        "verdict",
        F.when(~is_sound, "rejected").when(is_first, "accepted").when(says_the_same, "duplicate").otherwise("rejected"),
    ).withColumn("reasons", F.when(is_sound & (F.col("verdict") == "rejected"), F.array(F.lit(REUSED))).otherwise(F.col("reasons")))
    return once.drop("first_record_id", "first_fingerprint")


def _drop_equal_contents(once: DataFrame, history: DataFrame | None) -> DataFrame:
    """Call an accepted record duplicate where an accepted one received before says the same under another id. Same rows."""
    contents = repeated_contents(once.where(F.col("verdict") == "accepted"), history)
    again = F.col("first_record_id").isNotNull() & (F.col("first_record_id") != F.col("record_id"))
    return (
        once.join(contents, ["occurred_on", "fingerprint"], "left")
        .withColumn("verdict", F.when((F.col("verdict") == "accepted") & again, F.lit("duplicate")).otherwise(F.col("verdict")))
        .drop("first_record_id")
    )


def accepted(verdicts: DataFrame, gap_minutes: int | None, history: DataFrame | None) -> DataFrame:
    """Rows of events. `gap_minutes`: the pause that ends a session, of a source without sessions; None: it has its own.

    `history`: events accepted before, of days near; None: there are none.
    """
    sound = verdicts.where(F.col("verdict") == "accepted")
    rows = sound.select("event_id", *CONTENT, "occurred_on", "batch_id", "record_id", "fingerprint")
    return rows if gap_minutes is None else add_sessions(rows, gap_minutes, history)


def rejected(verdicts: DataFrame, raw_columns: Sequence[str]) -> DataFrame:
    """Rows of events_rejected: the place, all reasons, and the raw record as JSON (an event_id made from the content left out again)."""
    given = F.when(F.col("event_id") != made_id(), F.col("event_id"))
    return (
        verdicts.where(F.col("verdict") == "rejected")
        .withColumn("event_id", given)
        .select("batch_id", "source_file", "row_number", "reasons", frames.as_json(raw_columns).alias("record"), "received_at")
    )


def per_batch(verdicts: DataFrame, rules: Sequence[Rule], take: int) -> DataFrame:
    """Rows of batches: each batch's count of records by verdict, and of rejected ones by reason.

    The records are counted once, by all that is asked of them; what is then counted by day and batch are those counts.
    """
    known = [*[rule.reason for rule in rules], REUSED]
    counts = verdicts.groupBy("batch_id", "source", "occurred_on", "verdict", "reasons", *drift.alike()).agg(*drift.of_alike())
    of_a_day = {f"rows_{verdict}": drift.count_of(F.col("verdict") == verdict) for verdict in ("accepted", "rejected", "duplicate")}
    of_a_day |= {f"_reason_{n}": drift.count_of(F.array_contains("reasons", reason)) for n, reason in enumerate(known)}
    of_a_day |= {"rows_received": F.sum("_rows"), **drift.of_a_day()}
    daily = counts.groupBy("batch_id", "source", "occurred_on").agg(*(value.alias(name) for name, value in of_a_day.items()))
    broken = [F.struct(F.lit(reason).alias("key"), F.sum(f"_reason_{n}").alias("value")) for n, reason in enumerate(known)]
    reasons = F.map_from_entries(F.filter(F.array(*broken), lambda entry: entry["value"] > 0))
    totals = [F.sum(name).alias(name) for name in ("rows_received", "rows_accepted", "rows_rejected", "rows_duplicate")]
    counted = daily.groupBy("batch_id", "source").agg(*totals, reasons.alias("reasons"), drift.metrics().alias("metrics"))
    return counted.withColumn("take", F.lit(take).cast("bigint"))


def examples(verdicts: DataFrame, batch_id: str, reason: str) -> list[str]:
    """Three rejected records of a batch, as `file row N: json`."""
    shown = ("event_id", *CONTENT, "_rescued")
    place = F.concat(F.col("source_file"), F.lit(" row "), F.col("row_number"), F.lit(": "), F.to_json(F.struct(*shown)))
    found = verdicts.where((F.col("batch_id") == batch_id) & F.array_contains("reasons", reason)).select(place.alias("example"))
    return [str(row["example"])[:300] for row in found.orderBy("example").limit(3).collect()]


def gate(verdicts: DataFrame, counts: Sequence[Row], before: DataFrame, rules: Sequence[Rule], settings: EventsSettings) -> None:
    """Raise UserError for the first batch with too many rejected, naming rule, rows and three examples, or unlike the last ones before it.

    `counts`: rows of batches now; `before`: those kept earlier, of whatever batch. Of a batch kept before more files came, however late:
    it was compared then, and is not again. A batch that `settings.let_in` names is not asked at all.
    """
    asked = [row for row in counts if row["batch_id"] not in settings.let_in]
    for row in sorted(asked, key=lambda row: str(row["batch_id"])):
        if expectations.is_too_many(row["rows_received"], row["rows_rejected"], row["reasons"], settings.max_rejected_share, rules):
            reason = expectations.worst(row["reasons"], rules)
            shown = examples(verdicts, row["batch_id"], reason)
            advice = _how_to_let_in(row["batch_id"], settings)
            raise expectations.stopped(f"batch {row['batch_id']}", row.asDict(), settings.max_rejected_share, reason, shown, advice)
    named = before.where(F.col("batch_id").isin([row["batch_id"] for row in counts])).select("batch_id").distinct()
    known = {row["batch_id"] for row in named.collect()}
    usual = drift.usual(before).collect()
    new = [row for row in asked if row["batch_id"] not in known]
    most = max((row["rows_accepted"] for row in usual), default=0)
    whole = [row for row in new if max(row["rows_accepted"], most) >= drift.WHOLE_BATCH]
    compared = [drift.compare(row["metrics"], [other["metrics"] for other in usual]) for row in whole]
    broken = expectations.broken_rules(verdicts.sparkSession, "batches", compared)
    for row, facts, reasons in zip(whole, compared, broken, strict=True):
        if reasons:
            said = ", ".join(f"{name} {value:.3g}" for name, value in facts.items() if value is not None)
            broke = f"batch {row['batch_id']}: {row['rows_accepted']} events, rule '{reasons[0]}' broke: {said}"
            raise UserError(f"{broke}; {_how_to_let_in(row['batch_id'], settings)}")


def _how_to_let_in(batch_id: str, settings: EventsSettings) -> str:
    named = json.dumps(sorted({*settings.let_in, batch_id}))
    return f"where it is as it should be, let it in: --set 'events.let_in={named}'"


def require_fresh(events: DataFrame, as_of: date) -> None:
    """Raise UserError where the newest of `events`, all that were ever accepted, is too long before the day planned for (suite batches)."""
    found = events.agg(F.max("occurred_on").alias("newest")).first()
    newest = None if found is None else found["newest"]
    if newest is None:
        return
    facts = drift.behind(newest, as_of)
    (reasons,) = expectations.broken_rules(events.sparkSession, "batches", [facts])
    if reasons:
        raise UserError(
            f"the newest of all events is of {newest}, {facts['days_behind']:.0f} days before run.as_of ({as_of}): rule '{reasons[0]}' "
            "broke: bring newer files, or plan for an earlier day"
        )


@dataclass
class Totals:
    """Counts of records over the batches of a run."""

    received: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicate: int = 0

    def add(self, counts: Sequence[Row]) -> None:
        """Add the rows of batches of one take."""
        self.received += sum(row["rows_received"] for row in counts)
        self.accepted += sum(row["rows_accepted"] for row in counts)
        self.rejected += sum(row["rows_rejected"] for row in counts)
        self.duplicate += sum(row["rows_duplicate"] for row in counts)


def received_again(rejected: DataFrame, raw: T.StructType) -> DataFrame:
    """Quarantined records as the raw records they were; grain: one rejected record."""
    return rejected.select(F.from_json("record", raw.simpleString()).alias("_raw")).select("_raw.*")


def moved_per_batch(verdicts: DataFrame, take: int) -> DataFrame:
    """Rows of batches that correct what was counted before: as many fewer rejected as are accepted or duplicates now."""
    counted = verdicts.groupBy("batch_id", "source").agg(
        F.count(F.when(F.col("verdict") == "accepted", 1)).alias("rows_accepted"),
        F.count(F.when(F.col("verdict") == "duplicate", 1)).alias("rows_duplicate"),
    )
    moved = F.col("rows_accepted") + F.col("rows_duplicate")
    return counted.where(moved > 0).select(
        "batch_id",
        F.lit(take).cast("bigint").alias("take"),
        "source",
        F.lit(0).cast("bigint").alias("rows_received"),
        "rows_accepted",
        (-moved).alias("rows_rejected"),
        "rows_duplicate",
        F.create_map(F.lit("released from quarantine"), -moved).alias("reasons"),
        F.create_map().cast("map<string,double>").alias("metrics"),
    )
