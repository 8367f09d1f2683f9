"""`promoloop design`: the job with its progress, the front as a table, and what it leaves in the output folder."""

import gzip
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from promoloop import tables
from promoloop.cli import journal
from promoloop.cli.live import PlainLines
from promoloop.cli.loop import Step
from promoloop.cli.run import run_steps
from promoloop.report import designs, words
from promoloop.report.designs import Entry
from promoloop.settings import Settings

_JOB = "design_campaigns"
_FIELDS = {
    **{"promotion": "promotion_id", "name": "name", "form": "form", "scope_category": "scope_category", "scope_brand": "scope_brand"},
    **{"scope_items": "scope_item_ids", "threshold": "threshold", "discount_rate": "discount_rate", "discount_amount": "discount_amount"},
    **{"gift_item": "gift_item_id", "gift_unit_cost": "gift_unit_cost", "starts": "starts_at", "ends": "ends_at", "budget": "budget"},
    **{"inventory": "inventory", "target_segment": "target_segment"},
}


def designed(console: Console, spark: SparkSession, settings: Settings) -> RenderableType:
    """Run the job, write design.html, design.json and design/promotions.json.gz; return what to print."""
    with _breeding(console, settings.design.generations):
        run_steps(spark, settings, [Step(_JOB, 1, settings.run.as_of)], PlainLines(console))
    own = F.col("run_id") == settings.run.run_id
    rows = [row.asDict() for row in tables.read(spark, settings, tables.CAMPAIGN_DESIGNS).where(own).collect()]
    resources = tables.read(spark, settings, tables.DESIGN_RESOURCES).where(own).orderBy("resource").collect()
    known = {row["promotion_id"]: row.asDict() for row in tables.read(spark, settings, tables.PROMOTIONS).collect()}
    currency, out, day = settings.report.currency, settings.paths.out_folder, settings.run.as_of
    found = designs.entries(rows, currency)
    solved = journal.load(out)[_JOB].figures
    sentences = [(row["resource"], row["sentence"]) for row in resources if row["resource"] != "plan"]
    page, figures = out / "design.html", out / "design.json"
    _replace(page, designs.render(found, solved, sentences, day.isoformat(), currency).encode())
    journal.write_json(figures, {"run_id": settings.run.run_id, "as_of": day, "solved": solved, "promotions": rows})
    proposed = out / "design" / "promotions.json.gz"
    _replace(proposed, _gzipped(proposals([row for row in rows if row["is_chosen"]], known, day)))
    places = f"designs    {page}\nfigures    {figures}\nproposed   {proposed}"
    return Group(_grid(found, currency), "", _said(solved, currency), "", places)


def proposals(chosen: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]], day: date) -> list[dict[str, Any]]:
    """The chosen design as records of the promotions set of conf/sources/shop.toml; what it does not run is ended before `day` begins."""
    midnight = datetime.combine(day, time(), UTC)
    records = []
    for row in sorted(chosen, key=lambda one: str(one["promotion_id"])):
        now = dict(known[row["promotion_id"]])
        if row["is_run"]:
            now |= {name: row[name] for name in now if name in row}
        else:
            now |= {"starts_at": min(_utc(now["starts_at"]), midnight - timedelta(days=1)), "ends_at": midnight}
        records.append({field: _plain(now[column]) for field, column in _FIELDS.items() if now[column] is not None})
    return records


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)  # Spark hands out moments in the zone of this process


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _utc(value).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value if isinstance(value, int | float | str | list) else str(value)


def _gzipped(records: Sequence[dict[str, Any]]) -> bytes:
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return gzip.compress(lines.encode(), mtime=0)


def _replace(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    partial.write_bytes(content)
    os.replace(partial, target)


def _grid(found: Sequence[Entry], currency: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("design", "expected profit", "satisfaction", "promotions", ""):
        grid.add_column(heading, justify="left" if heading == "" else "right")
    for one in found:
        name, mark = ("today" if one.number == 0 else str(one.number)), ("chosen" if one.is_chosen else "")
        grid.add_row(name, words.money(one.profit, currency), words.count(one.satisfaction), str(len(one.lines)), mark)
    return grid


def _said(solved: Mapping[str, Any], currency: str) -> str:
    worth = (
        f"{words.money(solved['profit_solved'], currency)} of expected profit, satisfaction {words.count(solved['satisfaction_solved'])}"
    )
    proof = f"{words.count(solved['offers'])} offers, within {words.percent(solved['gap'], 4)} of the best there can be"
    return f"design {solved['chosen']} solved in full: {worth}; {proof}"


class _Told(logging.Handler):
    """Moves the bar whenever a generation is told."""

    def __init__(self, progress: Progress, total: int) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task("learning the response, scoring what promotions could be", total=total)

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.update(self._task, advance=1, description=record.getMessage())


@contextmanager
def _breeding(console: Console, generations: int) -> Iterator[None]:
    """A bar over the generations while the job runs; on no terminal, its last state."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    log = logging.getLogger("promoloop.design")
    level = log.level
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
        handler = _Told(progress, generations)
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
