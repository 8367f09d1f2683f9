"""Ingest and clean from files to verdicts, run twice, gated, and killed half-way."""

import os
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import shop_files
from job_files import job
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import scanning
from builders import rows
from places import settings_in
from promoloop import allocation, privacy, registry, sources, tables
from promoloop.allocation import BlockScan
from promoloop.allocation.packing import Layout
from promoloop.errors import UserError
from promoloop.execution import channels
from promoloop.settings import Settings

ingest, clean, requeue, forget = (job(name) for name in ("ingest_events", "clean_events", "requeue_events", "forget_user"))


@pytest.fixture
def settings_with(tmp_path: Path) -> Callable[..., Settings]:
    """As everywhere, planning for the day after the last batch."""
    return lambda *assignments: settings_in(tmp_path, "run.as_of=2026-01-11", *assignments)


def hashes(spark: SparkSession, settings: Settings) -> dict[str, int]:
    written = [table for table in tables.TABLES if tables.exists(spark, settings, table)]
    return {table.name: tables.content_hash(tables.read(spark, settings, table)) for table in written}


def forget_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the source had no sessions."""
    given = sources.Mapping.given_columns
    monkeypatch.setattr(sources.Mapping, "given_columns", lambda mapping, entity: given(mapping, entity) - {"session_id"})


def test_a_shop_of_nobody_and_a_log_of_nothing(spark: SparkSession, settings: Settings) -> None:
    landing = Path(settings.paths.landing)
    shop_files.write(landing, "events")
    shop_files.write(landing, "items", {"item": "i1"})
    with pytest.raises(UserError, match="no files of users: nothing matches 'users/"):
        ingest.run(spark, settings)
    shop_files.write(landing, "users", {"user": "u1"})
    assert ingest.run(spark, settings).figures["events"] == clean.run(spark, settings).rows_in == 0
    assert all(tables.read(spark, settings, table).isEmpty() for table in (tables.EVENTS, tables.BATCHES, tables.PAST_OFFERS))
    moved = landing.rename(landing.with_name("moved"))
    with pytest.raises(UserError, match=rf"such as file://{landing}/events/.*, and are now looked for below {moved}"):
        ingest.run(spark, settings.model_copy(update={"source": settings.source.model_copy(update={"path": str(moved)})}))


def test_every_record_gets_one_verdict(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("events.max_rejected_share=0.9")
    landing = Path(settings.paths.landing)
    shop_files.write_shop(landing)
    purchase = {"event_type": "purchase", "order": "r1", "quantity": 1}
    shop_files.write(
        landing,
        "events",
        {"event_id": "sound"},
        {"event_id": "sound"},  # sent twice
        {"event_id": "again", "item": "i2"},
        {"event_id": "again-2", "item": "i2"},  # same content under another id: two events, as the shop's ids are its own
        {"event_id": "sound", "item": "i3"},  # another event under a used id
        {"event_id": "nobody", "user": None, "item": "i3"},
        {"event_id": "stranger", "user": "u9"},
        {"event_id": "ghost", "item": "i9"},
        {"event_id": "word", "event_type": "browse"},
        {"event_id": "late", "time": "2031-01-01T00:00:00Z"},
        {"event_id": "odd", "time": "yesterday", "price": "n/a"},
        {"event_id": "minus", "price": -1.0, **purchase},
        {"event_id": "cents", "price": 1000.0, **purchase},
        {"event_id": "free", "price": None, "quantity": 1.5, **purchase} | {"quantity": 1.5},
        {"event_id": "bought", **purchase},
        {"event_id": "returned", **purchase, "quantity": -1, "colour": "red"},
        {"event_id": "stars", "event_type": "review", "rating": 7},
        {"event_id": "redeemed", "event_type": "offer_redeem", "item": None, "promotion": "P1", "concession": 2.0},
        {"event_id": "renamed", "time": None, "occurred_at": "2026-01-02T10:00:00Z"},  # a new field, called as our column
        '{"event_id": "cut", "user": "u1", "it',
    )
    ingested, cleaned = ingest.run(spark, settings), clean.run(spark, settings)
    assert ingested.figures["events"] == 20
    assert (cleaned.rows_in, cleaned.rows_out, cleaned.rows_rejected, cleaned.figures["rows_duplicate"]) == (20, 6, 13, 1)

    events = {row["event_id"]: row for row in tables.read(spark, settings, tables.EVENTS).collect()}
    assert sorted(events) == ["again", "again-2", "bought", "redeemed", "returned", "sound"]
    assert events["sound"]["occurred_at"].isoformat() == "2026-01-02T02:00:00"
    assert events["returned"]["quantity"] == -1

    rejected = tables.read(spark, settings, tables.EVENTS_REJECTED)
    reasons = {
        row["id"]: row["reasons"] for row in rejected.select(F.get_json_object("record", "$.event_id").alias("id"), "reasons").collect()
    }
    assert reasons == {
        None: ["record: not readable"],
        "sound": ["event_id: used by another event"],
        "nobody": ["user_id: missing"],
        "stranger": ["user_id: unknown user"],
        "ghost": ["item_id: unknown item"],
        "word": ["event_type: unknown"],
        "late": ["occurred_at: after the batch was closed"],
        "odd": ["occurred_at: not a time", "price: not an amount of money"],
        "minus": ["price: not positive"],
        "cents": ["price: far from the item's list price"],
        "free": ["price: missing", "quantity: not a whole number"],
        "stars": ["rating: not 1 to 5"],
        "renamed": ["occurred_at: missing"],
    }
    batch = tables.read(spark, settings, tables.BATCHES).collect()
    assert [(row["rows_received"], row["rows_accepted"], row["rows_rejected"], row["rows_duplicate"]) for row in batch] == [(20, 6, 13, 1)]

    before = hashes(spark, settings)
    ingest.run(spark, settings)
    clean.run(spark, settings)
    assert hashes(spark, settings) == before
    forgotten = settings.model_copy(update={"paths": settings.paths.model_copy(update={"checkpoints": f"{settings.paths.out}/elsewhere"})})
    with pytest.raises(UserError, match=r"raw_events holds records of events/2026-01-01_2026-01-11/part-0\.json\.gz already: bring"):
        ingest.run(spark, forgotten)
    with pytest.raises(UserError, match=r"elsewhere/clean of none: bring paths\.checkpoints back"):
        clean.run(spark, forgotten)
    assert hashes(spark, settings) == before


def test_entities_are_current_and_bad_ones_quarantined(spark: SparkSession, settings: Settings) -> None:
    landing = Path(settings.paths.landing)
    shop_files.write_shop(landing)
    shop_files.write(
        landing,
        "promotions",
        {"promotion": "twice", "name": "one"},
        {"promotion": "twice", "name": "two"},
        {"promotion": "backwards", "starts": "2026-02-01T00:00:00Z", "ends": "2026-01-01T00:00:00Z"},
        {"promotion": "generous", "form": "spend_threshold", "discount_rate": None, "threshold": 20, "discount_amount": 30},
        {"promotion": "wordy", "threshold": "much"},
        name="part-1",
    )
    shop_files.write(landing, "events", {"event_id": "e1"})
    ingest.run(spark, settings)
    shop_files.write(landing, "items", {"item": "i1", "price": 11.0}, batch="2026-01-11_2026-01-12")
    shy = {"user": "u3", "name": None, "mail": None, "phone": None, "address": None}
    shop_files.write(landing, "users", shy, batch="2026-01-11_2026-01-12")
    ingest.run(spark, settings)

    users = tables.read(spark, settings, tables.USERS).collect()
    pseudonym = privacy.pseudonymise(F.lit("u1"), privacy.load_key(settings))
    assert spark.range(1).select(pseudonym).collect()[0][0] in {row["user_id"] for row in users}
    assert {(row["age_band"], row["income_band"], tuple(row["channels"]), row["has_consent"]) for row in users} == {
        ("35-44", "middle", ("push", "email"), True)
    }
    items = {row["item_id"]: row for row in tables.read(spark, settings, tables.ITEMS).collect()}
    assert [(str(items[name]["price"]), items[name]["stock"]) for name in ("i1", "i2")] == [("11.00", 5), ("20.00", 5)]
    assert items["i1"]["text"] == "Green tea Call [phone] or mail [mail]"
    assert {row["promotion_id"] for row in tables.read(spark, settings, tables.PROMOTIONS).collect()} == {"P1", "P2"}
    rejected = tables.read(spark, settings, tables.ENTITIES_REJECTED).collect()
    assert sorted(reason for row in rejected for reason in row["reasons"]) == [
        "discount_amount: costs more than it can earn (not under the threshold)",
        "ends_at: ends before it starts",
        "promotion_id: used by two promotions",
        "promotion_id: used by two promotions",
        "threshold: not a number",
    ]
    assert tables.read(spark, settings, tables.PAST_OFFERS).select("run_id", "arm", "is_sent").first() == ("past-1", "treatment", True)
    kept = privacy.unsealed(tables.read(spark, settings, tables.VAULT), privacy.load_vault_key(settings)).collect()
    gone = spark.range(1).select(privacy.pseudonymise(F.lit("u3"), privacy.load_key(settings))).collect()[0][0]
    assert {row["user_id"] for row in kept} == {row["user_id"] for row in users} - {gone}
    assert kept[0]["identifiers"] == {
        "name": "Ann Planted", "mail": "ann.planted@mail.example", "phone": "+86 138 0000 1234", "address": "1 Planted Street",
    }  # fmt: skip
    assert not Path(settings.paths.tables, "vault").exists()


def test_the_vault_is_sealed_by_one_key(spark: SparkSession, settings_with: Callable[..., Settings], tmp_path: Path) -> None:
    landing = Path(settings_with().paths.landing)
    shop_files.write_known(landing)
    shop_files.write(landing, "events", {"event_id": "e1"})
    ingest.run(spark, settings_with())
    (tmp_path / "other.key").write_bytes(bytes(range(32)))
    shop_files.write(landing, "users", {"user": "u4"}, batch="2026-01-11_2026-01-12")
    with pytest.raises(UserError, match=r"privacy\.vault_key: not the key the vault was sealed with"):
        ingest.run(spark, settings_with(f"privacy.vault_key=file:{tmp_path}/other.key"))
    assert tables.read(spark, settings_with(), tables.USERS).count() == 3


def test_gate_names_rule_rows_and_examples_and_writes_nothing(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("events.max_rejected_share=0.2", "privacy.has_vault=false")
    landing = Path(settings.paths.landing)
    shop_files.write_known(landing)
    shop_files.write(
        landing, "events", {"event_id": "e1"}, *[{"event_id": f"b{i}", "event_type": "purchase", "quantity": 0} for i in range(4)]
    )
    ingest.run(spark, settings)
    assert not Path(settings.paths.vault).exists()  # privacy.has_vault is off
    with pytest.raises(UserError, match=r"4 of 5 rows rejected .*rule 'quantity: zero' broke on 4 rows, such as .*part-0\.json\.gz row 1"):
        clean.run(spark, settings)
    assert not tables.exists(spark, settings, tables.EVENTS)
    assert clean.run(spark, settings_with("events.max_rejected_share=0.9")).rows_out == 1


def test_a_take_that_a_kill_left_half_written_is_judged_by_what_was_known_then(
    spark: SparkSession, settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with("events.max_rejected_share=0.9", "privacy.has_vault=false")
    landing = Path(settings.paths.landing)
    shop_files.write_known(landing)
    shop_files.write(landing, "events", {"event_id": "e1"}, {"event_id": "early", "user": "u9"})
    ingest.run(spark, settings)
    append = tables.append_once

    def killed(rows: DataFrame, settings: Settings, table: tables.Table, application: str, version: int) -> int:
        if table is tables.EVENTS_REJECTED:
            raise UserError("killed")
        return append(rows, settings, table, application, version)

    with monkeypatch.context() as amid:
        amid.setattr(tables, "append_once", killed)
        with pytest.raises(UserError, match="killed"):
            clean.run(spark, settings)
    shop_files.write(landing, "users", {"user": "u9"}, batch="2026-01-11_2026-01-12")
    ingest.run(spark, settings)
    found = clean.run(spark, settings)
    assert (found.rows_in, found.rows_out, found.rows_rejected) == (2, 1, 1)
    assert [row["event_id"] for row in tables.read(spark, settings, tables.EVENTS).collect()] == ["e1"]
    assert tables.read(spark, settings, tables.EVENTS_REJECTED).count() == 1
    assert requeue.run(spark, settings).rows_out == 1


def test_too_many_users_refused_stop_the_run_before_anything_of_them_is_kept(spark: SparkSession, settings: Settings) -> None:
    landing = Path(settings.paths.landing)
    shop_files.write_known(landing)
    shop_files.write(landing, "events", {"event_id": "e1"})
    shop_files.write(landing, "users", *[{"user": None} for _ in range(12)], batch="2026-01-11_2026-01-12")
    stopped = (
        r"new records of users: 12 of \d+ rows rejected .* broke on 12 rows, such as users/2026-01-11_2026-01-12/part-0\.json\.gz row 0"
    )
    with pytest.raises(UserError, match=stopped):
        ingest.run(spark, settings)
    assert not tables.exists(spark, settings, tables.USERS)


def test_a_log_that_ended_long_ago_stops_the_run(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("run.as_of=2026-02-03", "privacy.has_vault=false")
    shop_files.write_known(Path(settings.paths.landing))
    shop_files.write(Path(settings.paths.landing), "events", {"event_id": "e1"})
    ingest.run(spark, settings)
    with pytest.raises(UserError, match=r"newest of all events is of 2026-01-02, 32 days before run\.as_of .*long past"):
        clean.run(spark, settings)
    assert clean.run(spark, settings_with("run.as_of=2026-02-02")).rows_in == 0


def test_what_earlier_takes_accepted_of_a_day_counts(
    spark: SparkSession, settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock and a person, both in two takes of one day, of a source without sessions."""
    settings = settings_with("events.max_rejected_share=0.9", "privacy.has_vault=false")
    landing = Path(settings.paths.landing)
    shop_files.write_known(landing)
    forget_sessions(monkeypatch)
    every = settings.events.bot_min_events * 2 // 3
    noon = datetime(2026, 1, 2, 12)
    for take in range(2):
        seen = {"session": None, "channel": f"take {take}"}
        clock = [(f"c{n}", "u1", noon + timedelta(seconds=30 * n)) for n in range(take * every, (take + 1) * every)]
        person = [(f"p{take}-{n}", "u2", noon + timedelta(minutes=50 * take + 7 * n)) for n in range(5)]
        told = [{"event_id": name, "user": user, "time": f"{at:%Y-%m-%dT%H:%M:%SZ}", **seen} for name, user, at in (*clock, *person)]
        shop_files.write(landing, "events", *told, name=f"part-{take}")
        ingest.run(spark, settings)
        clean.run(spark, settings)
    accepted = tables.read(spark, settings, tables.EVENTS).select("event_id", "session_id").collect()
    assert sum(row["event_id"].startswith("c") for row in accepted) == every  # the first take, too few to say
    sessions = {row["session_id"] for row in accepted if row["event_id"].startswith("p")}
    assert len(sessions) == 1  # 28 minutes, 22 until the next take, 28
    rejected = tables.read(spark, settings, tables.EVENTS_REJECTED).collect()
    assert [row["reasons"] for row in rejected] == [["user_id: a bot"]] * every


def test_requeue_releases_what_is_sound_now_and_forget_leaves_no_trace(
    spark: SparkSession, settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with("events.max_rejected_share=0.9")
    landing = Path(settings.paths.landing)
    shop_files.write_shop(landing)
    shop_files.write(
        landing,
        "events",
        {"event_id": "e1"},
        {"event_id": "new", "user": "u4", "session": None},
        {"event_id": "bad", "user": "u4", "item": None},
    )
    forget_sessions(monkeypatch)
    ingest.run(spark, settings)
    clean.run(spark, settings)
    shop_files.write(landing, "users", {"user": "u4"}, batch="2026-01-11_2026-01-12")
    ingest.run(spark, settings)
    append = tables.append_once

    def killed_at_batches(frame: DataFrame, settings: Settings, table: tables.Table, application: str, version: int) -> int:
        if table is tables.BATCHES:
            raise KeyboardInterrupt
        return append(frame, settings, table, application, version)

    with monkeypatch.context() as patched:
        patched.setattr(tables, "append_once", killed_at_batches)
        with pytest.raises(KeyboardInterrupt):
            requeue.run(spark, settings)
    for _ in range(2):  # the second time there is nothing to release
        requeue.run(spark, settings)
        assert tables.read(spark, settings, tables.EVENTS).count() == 2
        sessions = {row["event_id"]: row["session_id"] for row in tables.read(spark, settings, tables.EVENTS).collect()}
        assert sessions == {"e1": "s1", "new": sessions["new"]}
        assert sessions["new"].startswith("gap-")
        assert [row["reasons"] for row in tables.read(spark, settings, tables.EVENTS_REJECTED).collect()] == [["item_id: missing"]]
        totals = (
            tables.read(spark, settings, tables.BATCHES).agg(F.sum("rows_received"), F.sum("rows_accepted"), F.sum("rows_rejected")).first()
        )
        assert totals == (3, 2, 1)

    before = settings_with("events.max_rejected_share=0.9", "privacy.forget=['u4']")
    shop_files.write(landing, "events", {"event_id": "more", "item": "i2"}, batch="2026-01-11_2026-01-12")
    ingest.run(spark, settings)
    with pytest.raises(UserError, match="run clean_events first"):  # or the stream would bring back what is erased
        forget.run(spark, before)
    clean.run(spark, settings)
    pseudonym = spark.range(1).select(privacy.pseudonymise(F.lit("u4"), privacy.load_key(settings))).collect()[0][0]
    sent = {"run_id": "r", "promotion_id": "P1", "is_sent": True, "channel": "push", "code": "C"}
    ledger = [{"offer_id": "o8", "user_id": pseudonym, **sent}, {"offer_id": "o9", "user_id": "somebody", **sent}]
    tables.merge(rows(spark, tables.OFFERS, *ledger), settings, tables.OFFERS)
    channels.write(tables.read(spark, settings, tables.OFFERS), tables.read(spark, settings, tables.PROMOTIONS), settings.paths.out, "r")
    planned = spark.createDataFrame(
        [(pseudonym, "P1", 1.0, 0.5, 0, 1)], "user_id string, promotion_id string, value double, cost double, cell int, most int"
    )
    BlockScan.write(planned, Layout.of(("P1",), 1, 10), allocation.blocks_folder(settings))
    assert scanning.found([Path(settings.paths.checkpoints)], pseudonym)
    day = settings.run.model_copy(update={"as_of": date(2026, 1, 1)})  # before the first event of u4
    registry.log_document(settings.model_copy(update={"run": day}), "earlier", {"a": 1}, {}, {})
    registry.log_document(settings, "later", {"a": 1}, {}, {})
    assert channels.count_naming(spark, settings.paths.out, [pseudonym]) == 1

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tables, "erase_people", killed)
        with pytest.raises(KeyboardInterrupt):
            forget.run(spark, before)
    assert channels.count_naming(spark, settings.paths.out, [pseudonym]) == 0  # while the ledger still knows whom they named
    figures = dict(forget.run(spark, before).figures)
    assert figures.pop("models trained on that data, to be trained again") == "later version 1"
    assert {name: left for name, left in figures.items() if left} == {}
    assert {f"left in {where}" for where in ("offers", "channel files", "checkpoints", "models")} <= set(figures)
    assert channels.count_naming(spark, settings.paths.out, ["somebody"]) == 1
    places = [Path(settings.paths.tables), Path(settings.paths.vault), Path(settings.paths.checkpoints), Path(settings.paths.models)]
    assert scanning.found([*places, settings.paths.out_folder / "channels"], pseudonym) == {}
    assert {"left in users", "left in events", "left in raw_events", "left in events_rejected", "left in vault"} <= set(figures)


def test_placeholders_by_choice_are_filled_when_the_entity_arrives(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    choice = ("events.unknown_users='placeholder'", "events.unknown_items='placeholder'", "privacy.has_vault=false")
    settings = settings_with(*choice, "events.max_rejected_share=0.9")
    landing = Path(settings.paths.landing)
    shop_files.write_known(landing)
    nobody = {"event_id": "nobody", "user": None, "item": "i3"}
    shop_files.write(landing, "events", {"event_id": "known"}, {"event_id": "new", "user": "u9", "item": "i9"}, nobody)
    ingest.run(spark, settings)
    assert clean.run(spark, settings).rows_out == 2
    assert {row["event_id"] for row in tables.read(spark, settings, tables.EVENTS).collect()} == {"known", "new"}
    users, items = tables.read(spark, settings, tables.USERS), tables.read(spark, settings, tables.ITEMS)
    bare = users.where("gender IS NULL").collect()
    assert [(row["channels"], row["has_consent"], row["age_band"]) for row in bare] == [([], False, None)]
    assert users.where("gender = 'female' AND has_consent").count() == 3  # a placeholder never goes over a real user
    assert [(row["price"], row["category"]) for row in items.where("item_id = 'i9'").collect()] == [(None, None)]

    shop_files.write(landing, "users", {"user": "u9"}, batch="2026-01-11_2026-01-12")
    shop_files.write(landing, "items", {"item": "i9", "price": 9.0}, batch="2026-01-11_2026-01-12")
    ingest.run(spark, settings)
    users, items = tables.read(spark, settings, tables.USERS), tables.read(spark, settings, tables.ITEMS)
    assert [row["has_consent"] for row in users.where(F.col("user_id") == bare[0]["user_id"]).collect()] == [True]
    assert (users.count(), items.count()) == (4, 4)
    assert [(str(row["price"]), row["category"]) for row in items.where("item_id = 'i9'").collect()] == [("9.00", "tea")]


def test_continuous_ingestion_takes_files_as_they_arrive(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("source.every_seconds=1")
    landing = Path(settings.paths.landing)
    shop_files.write_shop(landing)
    shop_files.write(landing, "events", {"event_id": "e1"})
    ended: list[Exception] = []

    def follow() -> None:
        try:
            ingest.run(spark, settings)
        except Exception as error:
            ended.append(error)

    def arrived() -> set[str]:
        for query in spark.streams.active:
            query.processAllAvailable()
        return {row["event_id"] for row in tables.read_or_empty(spark, settings, tables.RAW_EVENTS).collect()}

    running = Thread(target=follow)
    running.start()
    until = time.monotonic() + 120
    while len(spark.streams.active) < 5 and time.monotonic() < until:  # one stream per entity
        running.join(0.2)
    assert arrived() == {"e1"}
    late = shop_files.write(landing, "events", {"event_id": "e2"}, name="part-1")
    os.utime(late, (time.time() - 30 * 86_400,) * 2)  # copied with its times: as old as its records
    assert arrived() == {"e1", "e2"}
    for query in spark.streams.active:
        query.stop()
    running.join(60)
    assert not running.is_alive()
    assert ended == []


def test_a_file_cut_short_is_named_and_a_whole_one_taken(spark: SparkSession, settings: Settings) -> None:
    landing = Path(settings.paths.landing)
    shop_files.write_known(landing)
    told = [{"event_id": f"e{n}"} for n in range(300)]
    path = shop_files.write(landing, "events", *told)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"/part-0\.json\.gz cannot be read to its end: put a whole one in its place"):
        ingest.run(spark, settings)
    shop_files.write(landing, "events", *told)
    ingest.run(spark, settings)
    assert tables.read(spark, settings, tables.RAW_EVENTS).count() == 300


def test_missing_source_is_one_clear_line(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(UserError, match="source shop: no folder"):
        ingest.run(spark, settings)
    with pytest.raises(UserError, match="no mapping 'shoop'"):
        ingest.run(spark, settings.model_copy(update={"source": settings.source.model_copy(update={"name": "shoop"})}))
