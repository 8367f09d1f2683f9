"""What repeats are, of a source whose ids are its own and of one whose events are told apart by what they say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from builders import rows
from promoloop import events, expectations, tables
from promoloop.events.verdicts import REUSED
from promoloop.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNKNOWN = "event_type: unknown"
SAID = [  # event_id, item_id, event_type; the first of them is an event by now, the others come in this order
    ("old", "i0", "view"),
    ("one", "i1", "view"),
    ("other", "i1", "view"),
    ("old-again", "i0", "view"),
    ("old", "i0", "view"),
    ("one", "i2", "view"),
    ("one", "i2", "view"),
    ("third", "i2", "view"),
    ("odd", "i1", "browse"),
    ("odd-again", "i1", "browse"),
    ("odd", "i3", "view"),
]


@pytest.mark.parametrize(("has_own_ids", "repeated"), [(False, "duplicate"), (True, "accepted")])
def test_equal_content_under_two_ids_is_a_repeat_unless_ids_are_the_sources_own(
    spark: SparkSession, has_own_ids: bool, repeated: str
) -> None:
    told = [
        {"row_number": n, "event_id": name, "item_id": item, "event_type": kind, "user_id": "u", "occurred_at": NOON}
        for n, (name, item, kind) in enumerate(SAID)
    ]
    reasons = F.when(F.col("event_type") == "browse", F.array(F.lit(UNKNOWN))).otherwise(F.array().cast("array<string>"))
    every = events.add_identity(rows(spark, tables.RAW_EVENTS, *told)).withColumn("reasons", reasons).localCheckpoint()
    known = every.where("row_number = 0").select(tables.EVENTS.column_names)
    judged = every.where("row_number > 0")
    verdicts = events.add_verdicts(judged, known, has_own_ids)
    assert sorted(verdicts.columns) == sorted([*judged.columns, "verdict"])
    found = [(row["event_id"], row["item_id"], row["verdict"], row["reasons"]) for row in verdicts.orderBy("row_number").collect()]
    assert found == [
        ("one", "i1", "accepted", []),
        ("other", "i1", repeated, []),
        ("old-again", "i0", repeated, []),
        ("old", "i0", "duplicate", []),
        ("one", "i2", "rejected", [REUSED]),
        ("one", "i2", "rejected", [REUSED]),  # a copy of what is rejected
        ("third", "i2", "accepted", []),  # which hides nothing that is sound
        ("odd", "i1", "rejected", [UNKNOWN]),
        ("odd-again", "i1", "rejected", [UNKNOWN]),
        ("odd", "i3", "accepted", []),  # nor does it keep its id
    ]


def test_an_id_is_used_once_on_days_near_one_another(spark: SparkSession, settings: Settings) -> None:
    """As where an export was sent again in another time zone. Of days further off nothing is read."""
    view = {"event_type": "view", "user_id": "u", "item_id": "i", "price": Decimal(1), "received_at": NOON + timedelta(days=9)}
    days = {0: 0, 1: settings.events.days_near, 2: settings.events.days_near + 1}
    told = [{**view, "row_number": n, "event_id": "one", "occurred_at": NOON + timedelta(days=day)} for n, day in days.items()]
    raw = rows(spark, tables.RAW_EVENTS, *told)
    users, items = rows(spark, tables.USERS, {"user_id": "u"}), rows(spark, tables.ITEMS, {"item_id": "i", "price": Decimal(1)})
    rules = expectations.load_rules(spark, "events", events.judged_schema(tables.RAW_EVENTS.schema))
    known = events.add_identity(raw.where("row_number = 0")).select(tables.EVENTS.column_names)
    found = {}
    for number in (1, 2):
        judged = events.judge(raw.where(F.col("row_number") == number), known, users, items, rules, settings.events)
        (row,) = events.add_verdicts(judged.records, judged.history, has_own_ids=True).collect()
        found[number] = (row["verdict"], row["reasons"])
    assert found == {1: ("rejected", [REUSED]), 2: ("accepted", [])}
