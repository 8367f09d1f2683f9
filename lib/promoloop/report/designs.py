"""Campaign designs -> facts, a chart and one self-contained HTML page: the front of profit against satisfaction, the chosen design."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from promoloop.report import words
from promoloop.report.drawing import ACCENT, GOOD, INK, LINE, MUTED, drawn


@dataclass(frozen=True)
class Line:
    """One promotion of a design, as it would run."""

    promotion_id: str
    form: str
    terms: str
    budget: float | None
    offers: float
    cost: float
    profit: float


@dataclass(frozen=True)
class Entry:
    """One design: number (0: the promotions as they are), its two aims as judged on the sample, and what it runs."""

    number: int
    is_chosen: bool
    profit: float
    satisfaction: float
    lines: tuple[Line, ...]


def entries(rows: Sequence[dict[str, Any]], currency: str) -> list[Entry]:
    """Rows of campaign_designs of one run as designs, in order of their numbers."""
    found = []
    for number in sorted({row["design"] for row in rows}):
        own = sorted((row for row in rows if row["design"] == number), key=lambda row: str(row["promotion_id"]))
        lines = tuple(_line(row, currency) for row in own if row["is_run"])
        found.append(Entry(number, own[0]["is_chosen"], own[0]["design_profit"], own[0]["design_satisfaction"], lines))
    return found


def _line(row: dict[str, Any], currency: str) -> Line:
    budget = None if row["budget"] is None else float(row["budget"])
    amounts = (row["expected_offers"], row["expected_cost"], row["expected_profit"])
    return Line(row["promotion_id"], row["form"], _terms(row, currency), budget, *amounts)


def _terms(row: dict[str, Any], currency: str) -> str:
    """`20 % off from €30.00, 7 days`."""
    threshold = "" if row["threshold"] is None else f" from {words.money(float(row['threshold']), currency)}"
    if row["form"] == "gift":
        what = f"a gift of {words.money(float(row['gift_unit_cost']), currency)}"
    elif row["form"] == "spend_threshold":
        what = f"{words.money(float(row['discount_amount']), currency)} off"
    else:
        what = f"{words.percent(row['discount_rate'])} off"
    return f"{what}{threshold}, {(row['ends_at'] - row['starts_at']).days} days"


def front(designs: Sequence[Entry], currency: str) -> Markup:
    """The front as a chart: profit across, satisfaction up; SVG."""
    label = "Designs by expected profit and satisfaction"
    with drawn(10, label, "front") as drawing:
        axes = drawing.axes
        ahead = [one for one in designs if one.number]
        axes.plot([one.profit for one in ahead], [one.satisfaction for one in ahead], "-", color=LINE, linewidth=1.4)
        for one in designs:
            is_today = one.number == 0
            colour, size = (GOOD, 10.0) if one.is_chosen else (MUTED, 7.0) if is_today else (ACCENT, 5.0)
            axes.plot([one.profit], [one.satisfaction], "X" if is_today else "o", color=colour, markersize=size)
            if is_today or one.is_chosen or one.number in (1, len(ahead)):
                name = "today" if is_today else str(one.number)
                axes.annotate(name, (one.profit, one.satisfaction), xytext=(7, 5), textcoords="offset points", color=INK)
        axes.set_xlabel("expected incremental profit")
        axes.set_ylabel("satisfaction")
        axes.margins(0.08)
        axes.locator_params(nbins=6)
        axes.xaxis.set_major_formatter(lambda value, _: words.tick(value, currency))
        axes.grid()
    return Markup(drawing.svg)


def render(designs: Sequence[Entry], solved: dict[str, float], sentences: Sequence[tuple[str, str]], day: str, currency: str) -> str:
    """The page. `solved`: profit_solved, satisfaction_solved, offers, gap; `sentences`: (resource, what its shadow price means)."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"count": words.count, "percent": words.percent, "plain": words.plain}
    environment.filters["money"] = lambda amount: words.money(amount, currency)
    template = environment.from_string((files("promoloop.report") / "designs.html.j2").read_text(encoding="utf-8"))
    chosen = next(one for one in designs if one.is_chosen)
    return template.render(designs=designs, chosen=chosen, solved=solved, sentences=sentences, day=day, chart=front(designs, currency))
