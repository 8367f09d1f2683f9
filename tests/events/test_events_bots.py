"""Who acts like a machine: rhythm, haste and rate, and what only looks like them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pyspark.sql import SparkSession

from builders import rows
from promoloop import events, expectations, tables
from promoloop.settings import Settings

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


def views(gaps: list[float], **stated: object) -> list[dict[str, object]]:
    """Records of one user that lie `gaps` seconds apart."""
    moments = [START + timedelta(seconds=sum(gaps[: place + 1])) for place in range(len(gaps))]
    return [
        {"row_number": n, "event_id": f"e{n}", "event_type": "view", "user_id": "u", "item_id": "i", "occurred_at": moment, **stated}
        for n, moment in enumerate(moments)
    ]


def found(spark: SparkSession, settings: Settings, gaps: list[float], **stated: object) -> int:
    """Bot days of one user whose events lie `gaps` seconds apart."""
    identified = events.add_identity(rows(spark, tables.RAW_EVENTS, *views(gaps, **stated)))
    return events.bot_days(identified, settings.events).count()


def test_regular_hasty_and_endless_viewers_are_bots_and_people_are_not(spark: SparkSession, settings: Settings) -> None:
    assert found(spark, settings, [30.0] * 80) == 1  # a clock
    assert found(spark, settings, [0.5 + (n % 3) for n in range(80)]) == 1  # no dwell
    assert found(spark, settings, [4000.0, 5000.0, *[1.0] * 70, 6000.0, 3000.0]) == 1  # a burst on a day a person did something too
    assert found(spark, settings, [3.0 + (n % 7) for n in range(600)]) == 1  # more than a person looks at in an hour
    assert found(spark, settings, [5.0 + (n * 37) % 90 for n in range(80)]) == 0
    assert found(spark, settings, [30.0] * 20) == 0  # too few to say


def test_the_lines_of_an_order_are_bought_at_one_moment_and_no_bot(spark: SparkSession, settings: Settings) -> None:
    assert found(spark, settings, [0.0] * 80, event_type="purchase", order_id="r1", quantity=1) == 0
    assert found(spark, settings, [0.0] * 80, event_type="purchase", quantity=1) == 0


def test_what_was_accepted_of_a_day_before_is_part_of_it(spark: SparkSession, settings: Settings) -> None:
    clock = views([30.0] * 80)
    identified = events.add_identity(rows(spark, tables.RAW_EVENTS, *clock))
    morning = identified.where("row_number < 40").select(tables.EVENTS.column_names)
    noon, again = identified.where("row_number >= 40"), identified.where("row_number < 40")
    assert events.bot_days(noon, settings.events).isEmpty()  # too few to say
    assert events.bot_days(noon, settings.events, morning).count() == 1
    renamed = rows(spark, tables.RAW_EVENTS, *({**view, "event_id": f"again{n}"} for n, view in enumerate(clock[:40])))
    for sent in (again, events.add_identity(renamed)):
        assert events.bot_days(sent, settings.events, morning).isEmpty()  # what is sent twice was done once
    whole = identified.select(tables.EVENTS.column_names)
    another = events.add_identity(rows(spark, tables.RAW_EVENTS, {**clock[0], "user_id": "v"}))
    assert events.bot_days(another, settings.events, whole).isEmpty()  # what others did is not asked again


def test_a_bot_is_rejected_for_it_beside_all_other_reasons(spark: SparkSession, settings: Settings) -> None:
    moments = [START + timedelta(seconds=30 * n) for n in range(80)]
    clock = [
        {"row_number": n, "event_id": f"e{n}", "event_type": "view", "user_id": "u", "item_id": "i" if n else None, "occurred_at": moment}
        for n, moment in enumerate(moments)
    ]
    person = {**clock[5], "row_number": 80, "event_id": "e80", "user_id": "v"}
    raw = rows(spark, tables.RAW_EVENTS, *({**view, "received_at": moments[-1], "price": Decimal(1)} for view in [*clock, person]))
    users = rows(spark, tables.USERS, {"user_id": "u"}, {"user_id": "v"})
    items = rows(spark, tables.ITEMS, {"item_id": "i", "price": Decimal(1)})
    rules = expectations.load_rules(spark, "events", events.judged_schema(tables.RAW_EVENTS.schema))
    judged = events.judge(raw, None, users, items, rules, settings.events)
    reasons = {row["event_id"]: row["reasons"] for row in judged.records.collect()}
    assert len(reasons) == 81
    assert reasons.pop("e80") == []
    assert reasons.pop("e0") == ["item_id: missing", "user_id: a bot"]
    assert set(map(tuple, reasons.values())) == {("user_id: a bot",)}
