"""Quarantined entities after a fix of a rule: released where nobody stated them since, and through a kill."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import shop_files
from job_files import job
from pyspark.sql import DataFrame, SparkSession

from builders import rows
from places import settings_in
from promoloop import expectations, tables
from promoloop.errors import UserError
from promoloop.expectations import Rule
from promoloop.settings import Settings

ingest, requeue = job("ingest_events"), job("requeue_entities")
KNOWN = "item_id: known already, by another record: send what is to count in a new file"


@pytest.mark.parametrize("unknown", ["quarantine", "placeholder"])
def test_what_is_sound_now_is_released_and_what_was_stated_since_stays(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    settings = settings_in(tmp_path, f"events.unknown_items={unknown}", "events.max_rejected_share=0.9")
    landing = Path(settings.paths.landing)
    assert requeue.run(spark, settings).rows_in == 0  # before anything came
    shop_files.write_shop(landing)
    twice = ({"promotion": "twice", "name": name} for name in ("one", "two"))
    shop_files.write(landing, "promotions", *twice, name="part-1")
    shop_files.write(landing, "items", {"item": "i2", "price": 21.5}, batch="2026-01-11_2026-01-12")  # said later of the same
    shop_files.write(landing, "events", {"event_id": "e1", "item": "i2"})
    with monkeypatch.context() as patched:
        be_too_strict(patched, "items", Rule("item_id: not one of ours", "item_id IN ('i2', 'i3')"))
        ingest.run(spark, settings)
    shop_files.write(landing, "items", {"item": "i3", "price": 33.0}, batch="2026-01-12_2026-01-13")
    ingest.run(spark, settings)
    assert prices(spark, settings) == {"i1": 10.0, "i3": 33.0} | ({"i2": None} if unknown == "placeholder" else {})

    with monkeypatch.context() as patched:
        patched.setattr(tables, "replace_named", killed)
        with pytest.raises(KeyboardInterrupt):
            requeue.run(spark, settings)
    outcomes = [requeue.run(spark, settings) for _ in range(2)]
    assert prices(spark, settings) == {"i1": 10.0, "i2": 21.5, "i3": 33.0}
    rejected = tables.read(spark, settings, tables.ENTITIES_REJECTED)
    assert sorted((row["table_name"], *row["reasons"]) for row in rejected.collect()) == [
        ("items", KNOWN),  # i2 as it was said first
        ("items", KNOWN),  # i3
        *[("promotions", "promotion_id: used by two promotions")] * 2,
    ]
    assert [(outcome.rows_out, outcome.rows_rejected) for outcome in outcomes] == [(0, 4), (0, 4)]  # the one that was killed released it
    assert {row["promotion_id"] for row in tables.read(spark, settings, tables.PROMOTIONS).collect()} == {"P1", "P2"}


def test_a_consent_taken_back_is_not_given_again_by_an_older_record(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, "events.unknown_users=placeholder", "events.max_rejected_share=0.9", "privacy.has_vault=false")
    landing = Path(settings.paths.landing)
    shop_files.write_known(landing)
    shop_files.write(landing, "events", {"event_id": "e1"})
    with monkeypatch.context() as patched:
        be_too_strict(patched, "users", Rule("age_band: wrong", "age_band = '35-44'"))
        ingest.run(spark, settings)
    nothing = dict.fromkeys(("birth_year", "gender", "region", "occupation", "income", "joined", "channels", "consent"))
    shop_files.write(landing, "users", {"user": "u1", **nothing}, batch="2026-01-11_2026-01-12")
    ingest.run(spark, settings)
    assert requeue.run(spark, settings).rows_out == 2  # u2 and u3
    consents = [row["has_consent"] for row in tables.read(spark, settings, tables.USERS).collect()]
    assert sorted(consents) == [False, True, True]


def test_nothing_is_released_amid_a_rekeying(spark: SparkSession, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for is_complete, told in ((True, False), (False, True)):
        ring = [{"key_mark": "a", "count_earlier": 0, "sealed": b"s", "is_complete": is_complete}]
        tables.replace_table(rows(spark, tables.KEY_RING, *ring), settings, tables.KEY_RING)
        with pytest.raises(UserError, match="re-keying is unfinished") if told else nullcontext():
            requeue.run(spark, settings)


def be_too_strict(monkeypatch: pytest.MonkeyPatch, suite: str, rule: Rule) -> None:
    load = expectations.load_rules

    def with_rule(spark: SparkSession, name: str, *schema: Any) -> list[Rule]:
        return [*load(spark, name, *schema), *([rule] if name == suite else [])]

    monkeypatch.setattr(expectations, "load_rules", with_rule)


def prices(spark: SparkSession, settings: Settings) -> dict[str, float | None]:
    return {row["item_id"]: row["price"] and float(row["price"]) for row in tables.read(spark, settings, tables.ITEMS).collect()}


def killed(frame: DataFrame, *_: object) -> int:
    raise KeyboardInterrupt
