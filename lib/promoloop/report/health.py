"""Whether the data and the models can be trusted: funnel, rejections, model cards, seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from promoloop.report import charts, words
from promoloop.report.charts import Bar
from promoloop.report.facts import Facts

_REASONS = 15
_FEATURES = 5
_REMARK = 160  # characters


@dataclass(frozen=True)
class ModelCard:
    """A model in use: version, the day it was trained for, its figures, and whatever its training added."""

    name: str
    version: str
    as_of: str
    figures: list[tuple[str, str]]
    remarks: list[tuple[str, str]]
    calibration: Markup | None


def funnel(facts: Facts) -> Markup:
    """Records received, cut into accepted, rejected and duplicates."""
    total = facts.total
    parts = [
        ("Accepted", float(total.accepted), charts.ACCENT),
        ("Rejected", float(total.rejected), charts.BAD),
        ("Duplicates", float(total.duplicates), charts.SOFT),
    ]
    return charts.split(parts, "Records received: accepted, rejected and duplicates", "funnel")


def reasons_chart(facts: Facts) -> Markup | None:
    """Rejected records by reason; None where there are none."""
    entries = [Bar(words.plain(reason), rows, words.count(rows), colour=charts.BAD) for reason, rows in facts.reasons[:_REASONS]]
    return charts.bars(entries, "Rejected records by reason", "reasons") if entries else None


def steps_chart(facts: Facts) -> Markup | None:
    """Seconds per step; None where no run is on record."""
    entries = [Bar(label, seconds, f"{seconds:,.1f} s", colour=charts.SOFT) for label, seconds in facts.steps]
    return charts.bars(entries, "Seconds per step", "steps") if entries else None


def recommended(facts: Facts) -> dict[str, list[tuple[str, int]]]:
    """Per segment the categories most often at the top of the list."""
    by_segment: dict[str, list[tuple[str, int]]] = {}
    for row in facts.recommended:
        by_segment.setdefault(row.segment, []).append((row.category, row.users))
    return by_segment


def model_cards(facts: Facts, k: int) -> list[ModelCard]:
    """The cards of the models in use; points of calibration made of fewer than `k` users are left out."""
    return [_card(card, k) for card in facts.cards]


def _card(card: Mapping[str, Any], k: int) -> ModelCard:
    known = {"name", "version", "as_of", "seed", "params", "figures"}
    name = words.plain(str(card["name"]))
    remarks = [
        (words.plain(key), words.short(str(value), _REMARK))
        for key, value in card.items()
        if key not in known and isinstance(value, str | int | float)
    ]
    strongest = [words.plain(str(entry["feature"])) for entry in card.get("importances", [])[:_FEATURES]]
    if strongest:
        remarks.append(("rests most on", ", ".join(strongest)))
    points = [(float(entry["predicted"]), float(entry["observed"])) for entry in card.get("calibration", []) if entry["rows"] >= k]
    chart = charts.calibration(points, f"{name}: observed against predicted", f"calibration-{card['name']}") if len(points) > 1 else None
    figures = [(words.plain(str(key)), f"{value:,.4g}") for key, value in dict(card.get("figures", {})).items()]
    return ModelCard(name, str(card.get("version", "")), str(card.get("as_of", "")), figures, remarks, chart)
