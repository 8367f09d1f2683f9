"""The job on a small shop: opened, opened again, killed, continued; its files, its manifest and its truth tables."""

import gzip
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from builders import rows
from places import settings_in
from promoloop import privacy, tables
from promoloop.cli import jobs
from promoloop.errors import UserError
from promoloop.launch import Outcome
from promoloop.settings import Settings
from promoloop.simulator import best_achievable, chapters, entities, landing, raw, shop, truth

SIZE = ("shop.users=300", "shop.items=100", "shop.days=28", "shop.promotions=8")
HISTORY, NEXT = "2026-02-02_2026-03-02", "2026-03-02_2026-03-16"


def run(spark: SparkSession, settings: Settings) -> Outcome:
    return jobs.load("simulate_shop")(spark, settings)


def digests(settings: Settings) -> dict[str, str]:
    """Every file of the landing folder by its name and content."""
    place = Path(settings.paths.landing)
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in place.rglob("*") if path.is_file()}


def truths(spark: SparkSession, settings: Settings) -> list[int]:
    return [tables.content_hash(tables.read(spark, settings, table)) for table in (tables.TRUTH_USERS, tables.TRUTH_OFFERS)]


def lines(settings: Settings, entity: str, batch: str) -> Iterator[str]:
    for path in sorted(Path(settings.paths.landing, entity, batch).glob("*.json.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)


def records(settings: Settings, entity: str, batch: str = HISTORY) -> list[dict[str, Any]]:
    found = []
    for line in lines(settings, entity, batch):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def manifest(settings: Settings, batch: str = HISTORY) -> dict[str, Any]:
    return json.loads(Path(settings.paths.landing, "manifests", f"{batch}.json").read_text())


def kinds(settings: Settings, batch: str) -> Counter[str]:
    """Records by kind, told from the records alone."""
    users = {record["user"]: record["consent"] for record in records(settings, "users")}
    items = {record["item"] for record in records(settings, "items")}
    found: Counter[str] = Counter()
    seen: set[str] = set()
    viewed = [record for record in records(settings, "events", batch) if record["event_type"] == "view"]
    views = Counter((record.get("user"), record["time"][:13]) for record in viewed)
    bots = {user for (user, _), count in views.items() if user in users and not users[user] and count >= 100}  # a hundred views in an hour
    for line in lines(settings, "events", batch):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            found["truncated"] += 1
            continue
        if record["event_id"] in seen:
            found["duplicate"] += 1
        elif "user" not in record:
            found["null_user"] += 1
        elif record["user"] in bots:
            found["bot"] += 1
        elif record["time"] == "yesterday" or record.get("quantity") == "two":
            found["wrong_type"] += 1
        elif record["time"].startswith("2099"):
            found["future_time"] += 1
        elif record.get("price", 1) < 0:
            found["negative_price"] += 1
        elif "item" in record and record["item"] not in items:
            found["unknown_item"] += 1
        else:
            found["good"] += 1
        seen.add(record["event_id"])
    return found


@pytest.fixture(scope="module")
def opened(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a shop that has opened."""
    settings = settings_in(tmp_path_factory.mktemp("shop"), *SIZE)
    run(spark, settings)
    return settings


@pytest.fixture(scope="module")
def continued(spark: SparkSession, opened: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a copy of it that has lived on, half of its users having an offer."""
    folder = tmp_path_factory.mktemp("continued")
    shutil.copytree(opened.paths.landing, folder / "landing")
    shutil.copytree(opened.paths.tables, folder / "tables")
    settings = settings_in(folder, *SIZE)
    tables.merge(_promotions(spark, settings), settings, tables.PROMOTIONS)
    tables.merge(_offers(spark, settings), settings, tables.OFFERS)
    run(spark, settings)
    return settings


def _promotions(spark: SparkSession, settings: Settings) -> DataFrame:
    """The exported promotions as the loop's table has them."""
    wanted = {
        "promotion": "promotion_id",
        "scope_items": "scope_item_ids",
        "gift_item": "gift_item_id",
        "starts": "starts_at",
        "ends": "ends_at",
    }
    stated = []
    for record in records(settings, "promotions"):
        renamed = {wanted.get(name, name): value for name, value in record.items()}
        for name in ("threshold", "discount_amount", "gift_unit_cost", "budget"):
            if name in renamed:
                renamed[name] = round(renamed[name] * 100)
        for name in ("starts_at", "ends_at"):
            renamed[name] = datetime.fromisoformat(renamed[name]).astimezone(UTC)
        stated.append({name: _money(value) if name in _MONEY else value for name, value in renamed.items()})
    return rows(spark, tables.PROMOTIONS, *stated)


_MONEY = ("threshold", "discount_amount", "gift_unit_cost", "budget")


def _money(cents: int) -> Any:
    return Decimal(cents) / 100


def _offers(spark: SparkSession, settings: Settings) -> DataFrame:
    """An offer of the promotion with the most redemptions for every other user, by the order of their ids."""
    told = tables.read(spark, settings, tables.TRUTH_OFFERS)
    best = told.groupBy("promotion_id").agg(F.sum("p_redeem").alias("sum")).orderBy(F.desc("sum"), "promotion_id").first()
    assert best is not None
    users = sorted(row.user_id for row in told.where(F.col("promotion_id") == best.promotion_id).select("user_id").collect())
    window = {"valid_from_at": datetime(2026, 3, 2, tzinfo=UTC), "valid_until_at": datetime(2026, 3, 16, tzinfo=UTC)}
    plain = {"run_id": "plan-2026-03-02", "promotion_id": best.promotion_id, "arm": "treatment", "channel": "email", **window}
    given = [{"offer_id": f"offer-{user[:12]}", "user_id": user, "is_sent": True, **plain} for user in users[::2]]
    withheld = [{"offer_id": f"none-{user[:12]}", "user_id": user, "is_sent": False, **plain, "arm": "control"} for user in users[1::2]]
    return rows(spark, tables.OFFERS, *given, *withheld)


def test_files_lie_where_the_loop_looks_for_them(opened: Settings) -> None:
    told = manifest(opened)["rows"]
    for entity in ("users", "items", "promotions", "past_offers"):
        found = records(opened, entity)
        assert len(found) == told[entity] > 0
    assert len(records(opened, "items")) == 100
    assert 300 < len(records(opened, "users")) < 310  # people and machines
    forms = Counter(record["form"] for record in records(opened, "promotions") if record["starts"].startswith("2026-03-02"))
    assert sum(forms.values()) == 8
    assert set(forms) == {"spend_threshold", "discount", "gift", "flash_sale"}
    assert len({record["promotion"] for record in records(opened, "promotions")}) == told["promotions"]
    arms = Counter(record["arm"] for record in records(opened, "past_offers"))
    assert set(arms) == {"treatment", "explore", "control"}
    assert all(0 < record["propensity"] < 1 for record in records(opened, "past_offers"))


def test_dirt_is_counted_exactly(opened: Settings) -> None:
    told, found = manifest(opened), kinds(opened, HISTORY)
    assert sum(found.values()) == told["rows"]["events"] == told["events_accepted"] + told["events_rejected"] + told["events_duplicate"]
    assert found.pop("good") == told["events_accepted"]
    assert found == {
        kind: entry["records"] for kind, entry in told["dirt"].items() if entry["records"] and entry["disposition"] != "accepted"
    }
    assert set(found) == set(raw.DISPOSITIONS) - {"clean", "late"}


def test_opening_twice_changes_nothing(spark: SparkSession, opened: Settings) -> None:
    before, told = digests(opened), truths(spark, opened)
    assert run(spark, opened).rows_out == 0
    assert digests(opened) == before
    assert truths(spark, opened) == told


def test_a_run_after_a_kill_leaves_what_an_undisturbed_one_leaves(spark: SparkSession, opened: Settings, tmp_path: Path) -> None:
    # killed while the log was written: other exports are there, half the log is, no manifest
    settings = settings_in(tmp_path, *SIZE)
    shutil.copytree(opened.paths.landing, settings.paths.landing)
    place = Path(settings.paths.landing)
    (place / "manifests" / f"{HISTORY}.json").unlink()
    shutil.rmtree(place / "held")
    half = place / "_unfinished" / "events" / "_temporary" / "part-00000.gz"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    next((place / "events" / HISTORY).glob("*")).unlink()
    run(spark, settings)
    assert digests(settings) == digests(opened)
    assert truths(spark, settings) == truths(spark, opened)


def test_rows_do_not_depend_on_partitions(spark: SparkSession, opened: Settings) -> None:
    world = chapters.world_of(opened, landing.manifests(spark, opened.paths.landing))
    chapter = shop.history(world)
    key, found = privacy.load_key(opened), []
    for block_users, parts in ((500, 1), (37, 5)):
        other = replace(world, law=replace(world.law, block_users=block_users))
        blocks = shop.history_blocks(spark, other).repartition(parts)
        lived = shop.Chapter(other, chapter.first, chapter.until, chapter.promotions)
        lines = raw.spoil(raw.records(shop.log(lived, blocks), other, chapter.until)).where("not is_held").drop("is_held")
        people = (entities.users(spark, other), entities.past_offers(spark, other))
        frames = (lines, *people, truth.users(lived, blocks, key), truth.offers(lived, blocks, key))
        found.append([tables.content_hash(frame) for frame in frames])
    assert found[0] == found[1]


def test_users_react_to_what_was_issued_to_them(spark: SparkSession, continued: Settings) -> None:
    sent = tables.read(spark, continued, tables.OFFERS).where("is_sent")
    offers = {row.offer_id: row.user_id for row in sent.select("offer_id", "user_id").collect()}
    key = privacy.load_key(continued)
    ids = sorted({record["user"] for record in records(continued, "users")})
    names = spark.createDataFrame([(user,) for user in ids], "user string").select(
        "user", privacy.pseudonymise(F.col("user"), key).alias("user_id")
    )
    pseudonyms = {row.user: row.user_id for row in names.collect()}
    events = [record for record in records(continued, "events", NEXT) if record["time"] < "2099" and "user" in record]
    redeemed = [record for record in events if record["event_type"] == "offer_redeem"]
    seen = {record["offer"] for record in events if record["event_type"] == "offer_view" and record["offer"].startswith("offer-")}
    assert len(redeemed) >= 5
    assert 0.3 * len(offers) < len(seen) < 0.95 * len(offers)
    for record in redeemed:
        assert offers[record["offer"]] == pseudonyms[record["user"]]
        assert record["offer"] in seen
        assert record["concession"] > 0
        assert any(other.get("order") == record["order"] for other in events if other["event_type"] == "purchase")
    treated = set(offers.values())
    buys = Counter(pseudonyms[record["user"]] in treated for record in events if record["event_type"] == "purchase")
    assert buys[True] > buys[False]


def test_a_continuation_counts_its_dirt_and_delivers_what_was_late(spark: SparkSession, continued: Settings) -> None:
    told, found = manifest(continued, NEXT), kinds(continued, NEXT)
    assert found["good"] == told["events_accepted"]
    assert sum(found.values()) == told["rows"]["events"]
    late = [
        record for record in records(continued, "events", NEXT) if record["time"] < "2026-03-02T01" and record["event_type"] != "review"
    ]
    assert len({record["event_id"] for record in late}) == told["dirt"]["late"]["records"] > 0
    earlier = {record["event_id"] for record in records(continued, "events", HISTORY)}
    assert not earlier & {record["event_id"] for record in late}
    assert {record["promotion"][:11] for record in records(continued, "promotions", NEXT)} == {"P2026-03-16"}


def test_a_continuation_is_lived_once(spark: SparkSession, continued: Settings) -> None:
    before, told = digests(continued), truths(spark, continued)
    assert run(spark, continued).rows_out == 0
    assert digests(continued) == before
    assert truths(spark, continued) == told
    state = (
        tables.read(spark, continued, tables.TRUTH_USERS)
        .groupBy("as_of_on")
        .agg(F.avg("message_load").alias("load"), F.count("*").alias("n"))
    )
    by_day = {str(row.as_of_on): row for row in state.collect()}
    assert {day: row.n for day, row in by_day.items()} == {"2026-03-02": 300, "2026-03-16": 300}
    assert run(spark, _planned_on(continued, "2026-03-16")).rows_out == 0  # nothing issued yet for the second cycle


def test_what_happened_cannot_change(spark: SparkSession, continued: Settings, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, *SIZE)
    shutil.copytree(continued.paths.landing, settings.paths.landing)
    shutil.copytree(continued.paths.tables, settings.paths.tables)
    changed = tables.read(spark, settings, tables.OFFERS).where("is_sent").limit(1).withColumn("is_sent", F.lit(False))
    tables.merge(changed, settings, tables.OFFERS)
    with pytest.raises(UserError, match="already lived 2026-03-02 to 2026-03-16 with other offers"):
        run(spark, settings)
    someone = tables.read(spark, settings, tables.TRUTH_USERS).first()
    assert someone is not None
    forgotten = spark.createDataFrame([(someone["user_id"],)], "user_id string")
    tables.erase_people(forgotten, settings, tables.TRUTH_USERS)  # as forget does, and takes their offers with them
    assert run(spark, settings).rows_out == 0


@pytest.mark.parametrize(
    ("assignment", "named"), [("run.seed=8", "run.seed=7, not 8"), ("shop.items=120", "shop.items"), ("run.as_of=2026-03-05", "run.as_of")]
)
def test_another_shop_is_refused(spark: SparkSession, opened: Settings, assignment: str, named: str) -> None:
    settings = settings_in(Path(opened.paths.landing).parent, *SIZE, assignment)
    with pytest.raises(UserError, match=named):
        run(spark, settings)


def _planned_on(settings: Settings, day: str) -> Settings:
    return settings_in(Path(settings.paths.landing).parent, *SIZE, f"run.as_of={day}")


def test_truth_covers_consenting_users_and_active_promotions(spark: SparkSession, opened: Settings) -> None:
    told = tables.read(spark, opened, tables.TRUTH_OFFERS)
    consenting = sum(record["consent"] for record in records(opened, "users"))
    assert told.count() == consenting * 8
    assert told.where("p_redeem < 0 or p_redeem > 1 or expected_cost < 0 or isnan(expected_profit)").isEmpty()


def test_best_achievable_is_what_the_probabilities_allow(spark: SparkSession) -> None:
    p = np.array([0.05, 0.05, 0.2, 0.5, 0.9])
    stated = [
        {
            "user_id": f"u{n}",
            "weekday_rhythm": [1.0],
            "peak_hours": [12.0],
            "buy_probability": float(value),
            "next_brand_probability": 0.5 + n / 10,
            "next_category_probability": 0.25,
        }
        for n, value in enumerate(p)
    ]
    offers = [
        {"user_id": "u0", "promotion_id": "a", "expected_profit": 2.0},
        {"user_id": "u0", "promotion_id": "b", "expected_profit": 3.0},
        {"user_id": "u1", "promotion_id": "a", "expected_profit": -1.0},
    ]
    found = best_achievable(rows(spark, tables.TRUTH_USERS, *stated), rows(spark, tables.TRUTH_OFFERS, *offers))
    best = {(row.model, row.measure): row.best for row in found.collect()}
    wins = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    weight = p[:, None] * (1 - p[None, :])
    assert best[("buy_probability", "auc")] == pytest.approx((wins * weight).sum() / weight.sum())
    assert best[("preferred_brand", "top1_accuracy")] == pytest.approx((p * (0.5 + np.arange(5) / 10)).sum() / p.sum())
    assert best[("oracle_offers", "profit_per_user")] == pytest.approx(1.5)
    assert best[("random_offers", "profit_per_user")] == pytest.approx(4 / 3)
