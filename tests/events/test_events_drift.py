from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import builders
from promoloop import expectations, tables
from promoloop.errors import UserError
from promoloop.events import drift, gate, judged_schema
from promoloop.settings import Settings

USUAL = {
    "events_of_a_day": 1000.0,
    "log_price": 2.0,
    **{f"share_{kind}": share for kind, share in zip(drift.KINDS, (0.9, 0.05, 0.03, 0.01, 0.005, 0.005), strict=True)},
    **{f"share_{quarter}": share for quarter, share in zip(drift.QUARTERS, (0.1, 0.2, 0.3, 0.4), strict=True)},
}


def reasons(spark: SparkSession, **changed: float) -> list[str]:
    compared = drift.compare({**USUAL, **changed}, [USUAL, USUAL])
    (broken,) = expectations.broken_rules(spark, "batches", [compared])
    return broken


def test_a_first_batch_has_nothing_to_be_compared_with(spark: SparkSession) -> None:
    assert set(drift.compare(USUAL, []).values()) == {None}
    assert expectations.broken_rules(spark, "batches", [drift.compare(USUAL, [])]) == [[]]


def test_a_late_file_of_an_old_batch_is_not_compared_and_a_new_batch_is_unless_it_is_let_in(
    spark: SparkSession, settings_with: Callable[..., Settings]
) -> None:
    """More batches came since than a new one is compared with."""
    asked, let_in = settings_with().events, settings_with('events.let_in=["day-120"]').events
    rules = expectations.load_rules(spark, "events", judged_schema(tables.RAW_EVENTS.schema))
    stated = {"take": 0, "source": "shop", "rows_received": 1200, "rows_accepted": 1200, "rows_rejected": 0, "metrics": USUAL}
    before = builders.rows(spark, tables.BATCHES, *({**stated, "batch_id": f"day-{n:03d}"} for n in range(120)))
    few = {**stated, "rows_received": 3, "rows_accepted": 3, "metrics": {**USUAL, "events_of_a_day": 3.0}}
    late, new = builders.rows(spark, tables.BATCHES, {**few, "batch_id": "day-000"}, {**few, "batch_id": "day-120"}).collect()
    gate(before, [late], before, rules, asked)
    with pytest.raises(
        UserError, match=r"batch day-120: 3 events, rule 'volume: events a day far from usual' broke.*let_in=\[\"day-120\"\]"
    ):
        gate(before, [late, new], before, rules, asked)
    gate(before, [late, new], before, rules, let_in)
    refused = {**stated, "batch_id": "day-120", "rows_rejected": 1200, "reasons": {rules[0].reason: 1200}}
    (spoilt,) = builders.rows(spark, tables.BATCHES, refused).collect()
    gate(builders.rows(spark, tables.RAW_EVENTS), [spoilt], before, rules, let_in)


def test_files_that_came_late_are_not_what_is_usual(spark: SparkSession, settings: Settings) -> None:
    rules = expectations.load_rules(spark, "events", judged_schema(tables.RAW_EVENTS.schema))
    stated = {"source": "shop", "rows_received": 1200, "rows_accepted": 1200, "rows_rejected": 0, "metrics": USUAL}
    few = {**stated, "rows_received": 3, "rows_accepted": 3, "metrics": {**USUAL, "events_of_a_day": 3.0}}
    takes = [{**(few if take else stated), "take": take, "batch_id": f"day-{n}"} for n in range(3) for take in range(3)]
    (new,) = builders.rows(spark, tables.BATCHES, {**stated, "take": 0, "batch_id": "day-3"}).collect()
    before = builders.rows(spark, tables.BATCHES, *takes)
    gate(before, [new], before, rules, settings.events)


def test_a_few_late_events_hardly_change_the_events_of_a_day(spark: SparkSession) -> None:
    days = [(1000, "2026-01-05"), (1, "2026-01-02"), (1, "2026-01-03"), (1, "2026-01-04")]
    daily = spark.createDataFrame(days, "_accepted bigint, occurred_on string")
    others = [name for name in drift.of_a_day() if name != "_accepted"]
    whole = daily.select("*", *(F.lit(0.0).alias(name) for name in others))
    found = [rows.agg(drift.metrics().alias("metrics")).first() for rows in (whole, whole.withColumn("_accepted", F.lit(0)))]
    days = [row["metrics"]["events_of_a_day"] for row in found if row is not None]
    assert days == [pytest.approx(1000, rel=0.01), 0.0]  # of an export that was sent again: compared, and no error


def test_each_batch_is_told_its_own_reasons(spark: SparkSession) -> None:
    facts = [drift.compare({**USUAL, "events_of_a_day": events}, [USUAL]) for events in (1000.0, 20.0, 1100.0)]
    assert expectations.broken_rules(spark, "batches", facts) == [[], ["volume: events a day far from usual"], []]


def test_shift_is_the_population_stability_index() -> None:
    now = {**USUAL, "share_night": 0.4, "share_evening": 0.1}
    expected = 2 * (0.4 - 0.1) * 1.3862943611198906  # (0.4 - 0.1) ln 4 + (0.1 - 0.4) ln 1/4
    assert drift.compare(now, [USUAL])["hours_shift"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"events_of_a_day": 1900.0, "log_price": 2.2, "share_view": 0.85, "share_cart": 0.1}, None),  # a busy week is not a fault
        ({"events_of_a_day": 20.0}, "volume: events a day far from usual"),
        ({"log_price": 2.0 + 4.605}, "price: level far from usual (another unit or currency)"),
        ({"share_view": 0.2, "share_purchase": 0.7}, "event_type: shares far from usual"),
        ({"share_night": 0.4, "share_evening": 0.1}, "occurred_at: hours of the day far from usual (another time zone)"),
    ],
)
def test_what_is_unlike_the_batches_before_is_named(spark: SparkSession, changed: dict[str, float], reason: str | None) -> None:
    assert reasons(spark, **changed) == ([] if reason is None else [reason])
