"""Re-keying: stopped half-way and gone on with, it leaves what a fresh ingest under the new key would, and nothing of the old one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import shop_files
from job_files import job
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import scanning
from builders import rows
from places import settings_in
from promoloop import privacy, tables
from promoloop.errors import UserError
from promoloop.execution import channels
from promoloop.settings import Settings
from promoloop.tables import Table

ingest, clean, forget, rekey = (job(name) for name in ("ingest_events", "clean_events", "forget_user", "rekey_users"))
COMPARED = (tables.RAW_EVENTS, tables.EVENTS, tables.EVENTS_REJECTED, tables.USERS, tables.PAST_OFFERS, tables.ENTITIES_REJECTED)


def write_files(landing: Path) -> None:
    shop_files.write_shop(landing)
    shop_files.write(landing, "past_offers", {"offer": "o2", "user": "u2", "arm": "sideways"}, name="part-1")
    said = {"event_type": "review", "rating": 5, "text": 'I am "user_id":"' + "a" * 64 + '"'}  # looks like a pseudonym's place, is none
    shop_files.write(
        landing,
        "events",
        {"event_id": "e1"},
        {"user": "u2", **said},
        {"event_id": "x", "user": "u9"},
        {"event_id": "y", "item": None, **said},
    )


def hashes(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """received_at left out: of past offers it is when the file was written."""
    return {table.name: tables.content_hash(tables.read(spark, settings, table).drop("received_at")) for table in COMPARED}


def pseudonyms(spark: SparkSession, settings: Settings) -> set[str]:
    return {row["user_id"] for row in tables.read(spark, settings, tables.RAW_EVENTS).collect()}


def test_without_the_key_of_the_vault_nothing_begins(spark: SparkSession, settings_with: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "new.key").write_bytes(b"n" * 32)
    new = f"privacy.new_key=file:{tmp_path}/new.key"
    during = settings_with(new)
    sealed = {"user_id": "a" * 64, "sealed": b"box", "key_mark": "of another key"}
    tables.merge(rows(spark, tables.VAULT, sealed), during, tables.VAULT)
    with pytest.raises(UserError, match=r"privacy\.vault_key: not the key"):
        rekey.run(spark, during)
    with pytest.raises(UserError, match=r"privacy\.vault_key: no file"):
        rekey.run(spark, settings_with(new, f"privacy.vault_key=file:{tmp_path}/lost.key"))
    assert not tables.exists(spark, during, tables.KEY_RING), "a ring begun would stop every ingest"


@pytest.mark.slow
def test_rekeying_goes_on_after_a_kill_and_leaves_no_old_pseudonym(
    spark: SparkSession, settings_with: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = f"file:{tmp_path}/new.key"
    (tmp_path / "new.key").write_bytes(b"n" * 32)
    (tmp_path / "third.key").write_bytes(b"t" * 32)
    calm = ("events.max_rejected_share=0.9", "run.as_of=2026-01-11")
    before, during = settings_with(*calm), settings_with(*calm, f"privacy.new_key={new}")
    after = settings_with(*calm, f"privacy.key={new}")
    write_files(Path(before.paths.landing))
    ingest.run(spark, before)
    with pytest.raises(UserError, match="run clean_events first"):
        ingest_more_then(spark, before, lambda: rekey.run(spark, during))
    clean.run(spark, before)
    old = pseudonyms(spark, before)
    user = min(old)
    offer = {"offer_id": "o7", "run_id": "r", "user_id": user, "promotion_id": "P1", "is_sent": True, "channel": "push", "code": "C"}
    tables.merge(rows(spark, tables.OFFERS, offer), before, tables.OFFERS)
    channels.write(tables.read(spark, before, tables.OFFERS), tables.read(spark, before, tables.PROMOTIONS), before.paths.out, "r")
    people = privacy.unsealed(tables.read(spark, before, tables.VAULT), privacy.load_vault_key(before)).count()

    rewrite = tables.rewrite_once

    def killed_at_users(frame: object, settings: Settings, table: Table, application: str) -> int:
        if table is tables.USERS:
            raise KeyboardInterrupt
        return rewrite(frame, settings, table, application)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(tables, "rewrite_once", killed_at_users)
        with pytest.raises(KeyboardInterrupt):
            rekey.run(spark, during)
    assert pseudonyms(spark, before).isdisjoint(old)
    for refused in (before, after):
        with pytest.raises(UserError, match="re-keying is unfinished"):
            ingest.run(spark, refused)
    with pytest.raises(UserError, match="to another key is unfinished"):
        rekey.run(spark, settings_with(*calm, f"privacy.new_key=file:{tmp_path}/third.key"))
    rekey.run(spark, during)
    assert rekey.run(spark, during).rows_out == 0

    fresh = settings_in(tmp_path / "fresh", *calm)
    keys = fresh.privacy.model_copy(update={"new_key": new})
    rekey.run(spark, fresh.model_copy(update={"privacy": keys}))  # a ring alone: there is nothing to re-key yet
    write_files(Path(fresh.paths.landing))
    shop_files.write(Path(fresh.paths.landing), "events", {"event_id": "e3"}, name="part-3")
    fresh = fresh.model_copy(update={"privacy": keys.model_copy(update={"key": new, "new_key": None})})
    ingest.run(spark, fresh)
    clean.run(spark, fresh)
    assert hashes(spark, after) == hashes(spark, fresh)

    assert scanning.found([Path(before.paths.tables), Path(before.paths.vault), tmp_path / "channels"], "|".join(sorted(old))) == {}
    opened = privacy.unsealed(tables.read(spark, after, tables.VAULT), privacy.load_vault_key(after))
    users = tables.read(spark, after, tables.USERS)
    assert opened.join(users, "user_id").count() == people == 3
    sent = {row["user_id"] for row in spark.read.csv(str(tmp_path / "channels" / "r"), header=True).collect()}
    assert sent == {row["user_id"] for row in tables.read(spark, after, tables.OFFERS).collect()}
    assert len(sent) == 1
    with pytest.raises(UserError, match=r"privacy\.key: not the key these tables are under"):
        ingest.run(spark, before)

    more = tables.read(spark, after, tables.EVENTS).count()
    shop_files.write(Path(after.paths.landing), "events", {"event_id": "e2", "item": "i2"}, name="part-2")
    ingest.run(spark, after)
    assert clean.run(spark, after).rows_out == 1  # the stream goes on where it was; u1 is still the same person
    events = tables.read(spark, after, tables.EVENTS)
    assert events.count() == more + 1
    assert events.where(F.col("event_id").isin("e1", "e2")).select("user_id").distinct().count() == 1


def ingest_more_then(spark: SparkSession, settings: Settings, act: Callable[[], object]) -> None:
    """With one event cleaned and another one only ingested."""
    clean.run(spark, settings)
    shop_files.write(Path(settings.paths.landing), "events", {"event_id": "e3"}, name="part-3")
    ingest.run(spark, settings)
    act()
