"""What rules ask of a record beside its own columns, and sessions of a source without any."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession

from builders import rows
from promoloop import tables
from promoloop.events.facts import add_facts, add_sessions
from promoloop.settings import Settings

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_units_are_measured_by_the_limit_of_their_category(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("events.max_quantity=100", "events.max_quantity_of={wine=6, tea=12}")
    bought = {
        "a": ("wine", 12),
        "b": ("tea", 12),
        "c": ("tea", -24),
        "d": ("bread", 50),
        "e": (None, 50),
        "f": ("unknown", 200),
        "g": ("tea", None),
    }
    raw = [{"row_number": n, "event_id": name, "item_id": of, "quantity": many} for n, (name, (of, many)) in enumerate(bought.items())]
    items = rows(spark, tables.ITEMS, *({"item_id": name, "category": name} for name in ("wine", "tea", "bread")))
    found = add_facts(rows(spark, tables.RAW_EVENTS, *raw), rows(spark, tables.USERS), items, settings.events)
    shares = {row["event_id"]: row["quantity_to_limit"] for row in found.select("event_id", "quantity_to_limit").collect()}
    assert shares == {"a": 2.0, "b": 1.0, "c": 2.0, "d": 0.5, "e": 0.5, "f": 2.0, "g": None}


def test_a_pause_of_half_an_hour_ends_a_session_and_no_two_users_share_one(spark: SparkSession, settings: Settings) -> None:
    just_under, half_an_hour = timedelta(minutes=29, seconds=59), timedelta(minutes=30)
    moments = {
        "first": ("u", START, None),
        "just before": ("u", START + just_under, None),
        "after": ("u", START + just_under + half_an_hour, None),
        "given": ("u", START + just_under + half_an_hour, "s1"),
        "other": ("v", START, None),  # the same moment
        "between": ("v", START + just_under + timedelta(minutes=15), None),  # amid the pause of the other user
    }
    told = [(name, *said) for name, said in moments.items()]
    events = spark.createDataFrame(told, "event_id string, user_id string, occurred_at timestamp, session_id string")
    made = {row["event_id"]: row["session_id"] for row in add_sessions(events, settings.events.session_gap_minutes).collect()}
    assert made["given"] == "s1"
    assert made["first"] == made["just before"]
    assert len({made[name] for name in ("first", "after", "other", "between")}) == 4


def test_a_session_goes_on_in_the_next_take_and_none_is_renamed(spark: SparkSession, settings: Settings) -> None:
    minutes = {"late": -10, "first": 0, "next": 20, "amid": 10, "after": 45, "pause": 80, "other": 20}
    told = [(name, "v" if name == "other" else "u", START + timedelta(minutes=at), None) for name, at in minutes.items()]
    events = spark.createDataFrame(told, "event_id string, user_id string, occurred_at timestamp, session_id string")
    before = add_sessions(events.where("event_id IN ('first', 'next')"), settings.events.session_gap_minutes)
    later = events.where("event_id NOT IN ('first', 'next')")
    made = {row["event_id"]: row["session_id"] for row in add_sessions(later, settings.events.session_gap_minutes, before).collect()}
    (known,) = {row["session_id"] for row in before.collect()}
    assert made["amid"] == made["after"] == known
    assert len({known, *(made[name] for name in ("late", "pause", "other"))}) == 4
    assert made.keys() == minutes.keys() - {"first", "next"}
