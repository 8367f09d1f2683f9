"""The facts of a source's tables, the report made of them, and the same figures for machines."""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.table import Table as Grid

from promoloop import expectations, registry, tables
from promoloop.cli import journal
from promoloop.offers import response
from promoloop.report import audit, data_docs, gather, page, words
from promoloop.report.facts import Effect, Facts, Run, is_few
from promoloop.settings import Settings
from promoloop.simulator import truth as simulated

_SHOWN = (
    tables.BATCHES,
    tables.EVENTS,
    tables.ITEMS,
    tables.PROMOTIONS,
    tables.USER_PROFILES,
    tables.ITEM_RECOMMENDATIONS,
    tables.OFFER_SCORES,
    tables.ALLOCATIONS,
    tables.ALLOCATION_RESOURCES,
    tables.OFFERS,
    tables.EVALUATIONS,
)
_JUDGED = (tables.BATCHES, tables.ENTITIES_REJECTED)
_AUDITED = (tables.ALLOCATIONS, tables.OFFER_SCORES, tables.ALLOCATION_RESOURCES)


def facts(spark: SparkSession, settings: Settings) -> Facts:
    """Everything there is to report of the source so far."""
    frames = {t.name: tables.read(spark, settings, t) for t in _SHOWN if tables.exists(spark, settings, t)}
    records = journal.load(settings.paths.out_folder).values()
    steps = tuple((record.label, record.seconds) for record in records)
    found = gather.facts(frames, settings.source.name, settings.privacy.k_anonymity)
    violations = _violations(frames, found.latest.run_id, settings.allocation.offers_per_user) if found.latest else {}
    run_id = found.latest.run_id if found.latest else ""
    cards = tuple(registry.cards(settings))
    evidence = next((c["effects_rest_on"] for c in cards if (c["name"], f"plan-{c['as_of']}") == (response.NAME, run_id)), None)
    issued = [record for record in records if record.job == "issue_offers" and f"plan-{record.as_of}" == run_id]
    was_issued = bool(issued and issued[-1].figures.get("was_issued_before"))
    return replace(found, cards=cards, steps=steps, violations=violations, effects_rest_on=evidence, was_issued_before=was_issued)


def write_report(found: Facts, settings: Settings) -> Path:
    """Write `report.html` into the output folder in one move; return its path."""
    out = settings.paths.out_folder
    out.mkdir(parents=True, exist_ok=True)
    docs = "data_docs/index.html" if (out / "data_docs" / "index.html").is_file() else None
    own = settings.report
    target, partial = out / "report.html", out / "report.part"
    partial.write_text(page.render(found, own.title, own.currency, settings.privacy.k_anonymity, docs), encoding="utf-8")
    os.replace(partial, target)
    return target


def write_data_docs(spark: SparkSession, settings: Settings) -> Path:
    """Write `data_docs/index.html` into the output folder in one move: the rules, and how they were kept; return its path."""
    frames = {t.name: tables.read(spark, settings, t) for t in _JUDGED if tables.exists(spark, settings, t)}
    shown = data_docs.suites({name: expectations.load_suite(name) for name in data_docs.SUITES}, frames)
    target = settings.paths.out_folder / "data_docs" / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    partial.write_text(data_docs.render(shown, settings.report.title, "../report.html"), encoding="utf-8")
    os.replace(partial, target)
    return target


def write_figures(found: Facts, settings: Settings) -> Path:
    """Write `summary.json` into the output folder; return its path."""
    target = settings.paths.out_folder / "summary.json"
    journal.write_json(target, figures(found))
    return target


def figures(found: Facts) -> dict[str, Any]:
    """The summary as plain data; of the latest plan, with the earlier ones under `cycles`."""
    total = found.total
    cycles = [_cycle(run) for run in found.runs]
    latest = cycles[-1] if cycles else {}
    return {
        "source": found.source,
        "rows_received": total.received,
        "rows_accepted": total.accepted,
        "rows_rejected": total.rejected,
        "rows_duplicate": total.duplicates,
        **{name: latest.get(name) for name in _cycle(_NO_RUN) if name != "run_id"},
        "violations": sum(found.violations.values()) if latest else None,
        "effects_rest_on": found.effects_rest_on,
        "cycles": cycles,
        "seconds": dict(found.steps),
        "seconds_total": round(sum(seconds for _, seconds in found.steps), 1),
    }


# Where the card of a model states what the simulator's truth bounds.
_OURS = {
    ("buy_probability", "auc"): ("buy_probability", "holdout_auc"),
    ("buy_probability", "base_rate"): ("buy_probability", "holdout_rate"),
    ("preferred_brand", "top1_accuracy"): ("brand_preference", "holdout_accuracy"),
    ("preferred_category", "top1_accuracy"): ("category_interest", "holdout_accuracy"),
}
_UNBOUNDED = ("form_preference", "price_sensitivity")


def best_achievable(spark: SparkSession, settings: Settings) -> Grid:
    """What the best conceivable model reaches on run.as_of, and what ours did where it was trained for that day, measure by measure."""
    as_of = settings.run.as_of
    day = F.col("as_of_on") == F.lit(as_of)
    users, offers = (tables.read(spark, settings, table).where(day) for table in (tables.TRUTH_USERS, tables.TRUTH_OFFERS))
    cards = {card["name"]: card for card in registry.cards(settings)}
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("model", "measure", "best achievable", "ours"):
        grid.add_column(heading, justify="right" if heading in ("best achievable", "ours") else "left")
    for row in simulated.best_achievable(users, offers).collect():
        model, figure = _OURS.get((row["model"], row["measure"]), ("", ""))
        best = "–" if row["best"] is None else f"{row['best']:.4f}"
        grid.add_row(words.plain(row["model"]), words.plain(row["measure"]), best, _ours(cards.get(model), figure, as_of))
    for model in _UNBOUNDED:
        grid.add_row(words.plain(model), "", "no bound", "")
    others = {cards[model]["as_of"] for model, _ in _OURS.values() if model in cards} - {as_of.isoformat()}
    if others:
        grid.caption = f"–: ours was trained for {', '.join(sorted(others))}, not for {as_of}; --set run.as_of=DAY asks about another day"
        grid.caption_justify = "left"
    return grid


def _ours(card: Mapping[str, Any] | None, figure: str, as_of: date) -> str:
    """A figure of the model in use; a dash where it was trained for another day, nothing where there is none."""
    if card is not None and card["as_of"] != as_of.isoformat():
        return "–"
    ours = card["figures"].get(figure) if card else None
    return "" if ours is None else f"{ours:.4f}"


_NO_RUN = Run("", None, (), (), (), ())


def _cycle(run: Run) -> dict[str, Any]:
    certificate, budget = run.certificate, run.budget
    return {
        "run_id": run.run_id,
        "objective": certificate.objective if certificate else None,
        "bound": certificate.bound if certificate else None,
        "gap": certificate.gap if certificate else None,
        "passes": certificate.passes if certificate else None,
        "offers_sent": None if is_few(run.users_sent, run.k) else run.users_sent,
        "budget": budget.capacity if budget else None,
        "budget_planned": budget.used if budget else None,
        "budget_shadow_price": budget.shadow_price if budget else None,
        "conceded": run.conceded,
        "expected_incremental_profit": run.expected_profit,
        "measured_incremental_profit": _measured(run.measured_profit),
        "true_incremental_profit": run.true_profit,
    }


def _measured(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {
        "value": effect.value,
        "low": effect.low,
        "high": effect.high,
        "method": effect.method,
        "is_causal": effect.is_causal,
    }


def _violations(frames: dict[str, DataFrame], run_id: str, offers_per_user: int) -> dict[str, int]:
    """Of the latest plan alone: earlier ones may have been made with other `offers_per_user`."""
    if not {table.name for table in _AUDITED} <= set(frames):
        return {}
    allocations, scores, resources = (frames[table.name] for table in _AUDITED)
    own = F.col("run_id") == run_id
    counted = audit.violations(allocations.where(own), scores, resources.where(own), offers_per_user)
    kinds = [name for name in counted.columns if name != "run_id"]
    rows = counted.collect()
    return {kind: sum(int(row[kind]) for row in rows) for kind in kinds} if rows else {}
