import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from builders import rows
from promoloop import tables
from promoloop.cli import app, journal, loop, reporting, status
from promoloop.launch import Outcome
from promoloop.settings import Settings

DAY = date(2026, 3, 2)
RUN = "plan-2026-03-02"
BUDGET = {"run_id": RUN, "resource": "budget", "quantity": "cost", "is_floor": False, "by_promotion": {"P1": 1.0, "P2": 1.0}}
_RHYTHM = {"weekday_rhythm": [1.0], "peak_hours": [12.0]}
OVERSPENT = BUDGET | {"capacity": 11.0, "used": 12.0}
EARLIER = OVERSPENT | {"run_id": "plan-2026-02-16"}


@pytest.fixture(autouse=True)
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting up MLflow's store takes seconds; cards have tests of their own."""
    monkeypatch.setattr("promoloop.registry.cards", lambda _: [])


def fill(spark: SparkSession, settings: Settings) -> None:
    """A plan for twelve users: ten get P1, two P2; measured, and within its budget, as an earlier one was not."""
    gifts = {f"u{n:02}": "P1" if n < 10 else "P2" for n in range(12)}
    offers = [
        {
            "offer_id": user,
            "run_id": RUN,
            "user_id": user,
            "promotion_id": p,
            "arm": "treatment",
            "expected_value": 3.0,
            "expected_cost": 1.0,
        }
        for user, p in gifts.items()
    ]
    plan = {"run_id": RUN, "resource": "plan", "objective": 36.0, "bound": 36.9, "gap": 0.024, "count_passes": 2, "seconds_per_pass": 0.1}
    budget = BUDGET | {"capacity": 20.0, "used": 12.0, "shadow_price": 0.0, "sentence": "room to spare"}
    counts = {"rows_received": 10, "rows_accepted": 6, "rows_rejected": 3, "rows_duplicate": 1, "reasons": {"price": 3}}
    profit = {"run_id": RUN, "metric": "incremental_profit", "scope": "all", "method": "cuped", "value": 30.0, "low": 10.0, "high": 50.0}
    pairs = [{"user_id": user, "promotion_id": p, "as_of_on": DAY} for user, p in gifts.items()]
    tables.merge(rows(spark, tables.OFFERS, *offers), settings, tables.OFFERS)
    given = ({"run_id": RUN, "value": 3.0, **pair} for pair in pairs)
    tables.replace_run(rows(spark, tables.ALLOCATIONS, *given), settings, tables.ALLOCATIONS, RUN)
    tables.replace_run(rows(spark, tables.ALLOCATION_RESOURCES, EARLIER), settings, tables.ALLOCATION_RESOURCES, EARLIER["run_id"])
    tables.replace_run(rows(spark, tables.ALLOCATION_RESOURCES, plan, budget), settings, tables.ALLOCATION_RESOURCES, RUN)
    tables.replace_run(rows(spark, tables.EVALUATIONS, profit), settings, tables.EVALUATIONS, RUN)
    tables.replace_day(
        rows(spark, tables.OFFER_SCORES, *({**pair, "expected_cost": 1.0} for pair in pairs)), settings, tables.OFFER_SCORES, DAY
    )
    users = [{"user_id": user, "as_of_on": DAY, "segment": "loyal"} for user in gifts]
    tables.replace_day(rows(spark, tables.USER_PROFILES, *users), settings, tables.USER_PROFILES, DAY)
    tables.append_once(rows(spark, tables.BATCHES, {"batch_id": "a", **counts}), settings, tables.BATCHES, "test", 0)


def test_report_figures_and_audit_agree_with_the_tables(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(spark, settings)
    card = {"name": "offer_response", "version": "1", "as_of": "2026-03-02", "figures": {}, "effects_rest_on": "observational"}
    monkeypatch.setattr("promoloop.registry.cards", lambda _: [card])
    issued = Outcome(figures={"was_issued_before": True})
    journal.put(settings.paths.out_folder, loop.Step("issue_offers", 1, DAY), issued, 1.0)
    monkeypatch.setattr(app, "load_for", lambda *_: settings)
    monkeypatch.setattr("sys.argv", ["promoloop", "report"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert not ended.value.code
    said = capfd.readouterr().out
    summary = json.loads((settings.paths.out_folder / "summary.json").read_text())
    assert {name: summary[name] for name in summary if name.startswith("rows_")} == {
        "rows_received": 10,
        "rows_accepted": 6,
        "rows_rejected": 3,
        "rows_duplicate": 1,
    }
    assert (summary["objective"], summary["bound"], summary["gap"], summary["violations"]) == (36.0, 36.9, 0.024, 0)
    assert (summary["expected_incremental_profit"], summary["budget_planned"]) == (36.0, 12.0)
    assert summary["measured_incremental_profit"] == {"value": 30.0, "low": 10.0, "high": 50.0, "method": "cuped", "is_causal": True}
    page = (settings.paths.out_folder / "report.html").read_text()
    for told in ("€36.00", "€30.00", "€10.00 to €50.00", "€12.00 of €20.00"):
        assert told in page
    for told in ("10 records received: 6 accepted, 3 rejected, 1 duplicates", "€12.00", "60 % of €20.00", "report.html"):
        assert told in said
    assert "Plan: worth €36.00 in its objective, no plan can be worth more than €36.90 (gap 2.4000 %); 0 limits broken" in said
    assert summary["effects_rest_on"] == "observational"
    assert all("assumed, not measured: past campaigns were targeted" in told for told in (page, said))
    assert "It was issued before" in said
    assert "few" in said  # two users of P2 are too few to be told

    tables.replace_run(rows(spark, tables.ALLOCATION_RESOURCES, OVERSPENT), settings, tables.ALLOCATION_RESOURCES, RUN)
    monkeypatch.setattr("promoloop.registry.cards", lambda _: [card | {"as_of": "2026-03-03"}])
    figures = reporting.figures(reporting.facts(spark, settings))
    assert (figures["violations"], figures["effects_rest_on"]) == (2, None)  # the model in use is of another plan


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process in a zone nine hours from UTC."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_status_tells_the_last_write_in_utc(spark: SparkSession, settings: Settings) -> None:
    tables.merge(rows(spark, tables.OFFERS, {"offer_id": "a"}), settings, tables.OFFERS)
    written_at = status.state(spark, settings, tables.OFFERS).written_at
    assert written_at is not None
    assert written_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written_at) < timedelta(hours=1)


def test_truth_sets_ours_beside_what_can_be_reached(spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"buy_probability": {"holdout_auc": 0.71}, "brand_preference": {"holdout_accuracy": 0.52}}
    ours["category_interest"] = {"holdout_accuracy": 0.43}
    day = settings.run.as_of
    days = {name: day.isoformat() for name in ours} | {"category_interest": "2026-03-16"}
    cards = [{"name": name, "as_of": days[name], "figures": figures} for name, figures in ours.items()]
    monkeypatch.setattr("promoloop.registry.cards", lambda _: cards)
    told = {"user_id": "u", "as_of_on": day, "buy_probability": 0.5, "next_brand_probability": 0.6, "next_category_probability": 0.7}
    offer = {"user_id": "u", "promotion_id": "P1", "as_of_on": day, "expected_profit": 1.0}
    tables.replace_day(rows(spark, tables.TRUTH_USERS, told | _RHYTHM), settings, tables.TRUTH_USERS, day)
    tables.replace_day(rows(spark, tables.TRUTH_OFFERS, offer), settings, tables.TRUTH_OFFERS, day)
    console = Console(width=200, record=True, file=StringIO())
    console.print(reporting.best_achievable(spark, settings))
    text = console.export_text()
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert {"preferred brand top1 accuracy 0.6000 0.5200", "preferred category top1 accuracy 0.7000 –"} <= lines
    assert {"form preference no bound", "price sensitivity no bound"} <= lines
    assert f"ours was trained for 2026-03-16, not for {day}" in " ".join(text.split())


def test_status_and_dry_run_tell_rows_and_versions(spark: SparkSession, settings: Settings, jobs: Callable[..., object]) -> None:
    tables.merge(rows(spark, tables.OFFERS, {"offer_id": "a"}, {"offer_id": "b"}), settings, tables.OFFERS)
    tables.replace_run(rows(spark, tables.ALLOCATIONS, {"run_id": RUN}), settings, tables.ALLOCATIONS, RUN)
    assert status.state(spark, settings, tables.OFFERS).rows == 2
    assert status.state(spark, settings, tables.EVENTS).version is None
    console = Console(width=200, record=True, file=StringIO())
    console.print(status.lineage(spark, settings))
    line = next(line for line in console.export_text().splitlines() if line.startswith("allocations"))
    assert line.split()[2:4] == ["allocate_promotions", settings.run.run_id]
    jobs(issue_offers="from promoloop import tables; tables.ALLOCATIONS, tables.EVENTS")
    console = Console(width=200, record=True, file=StringIO())
    console.print(status.plan_states(spark, settings, [loop.Step("issue_offers", 1, DAY)]))
    line = next(line for line in console.export_text().splitlines() if line.startswith("issue_offers"))
    version = status.state(spark, settings, tables.ALLOCATIONS).version
    assert f"allocations (v{version})" in line
    assert "events (new)" in line
    assert line.rstrip().endswith(f"offers (v{status.state(spark, settings, tables.OFFERS).version})")
