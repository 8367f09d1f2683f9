"""Who gets what, and what holds the plan back."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from promoloop.allocation.limits import DISPARITY
from promoloop.report import charts, words
from promoloop.report.charts import Bar
from promoloop.report.facts import Facts, Resource, Run, is_few
from promoloop.report.look import Look

_TINTS = 5
_UNITS = {"cost": "money", "count": "offers"}


@dataclass(frozen=True)
class Cell:
    """A cell of the table of offers by promotion and segment; `tint` 0 to 5."""

    text: str
    tint: int


@dataclass(frozen=True)
class Line:
    """A row of that table."""

    promotion: str
    form: str
    cells: list[Cell]


def by_promotion(run: Run) -> list[tuple[str, int, float]]:
    """Promotion, offers sent and profit expected of them; most offers first."""
    sent = [(entry.promotion_id or "", entry.users, entry.expected_value) for entry in run.treated]
    return sorted(sent, key=lambda entry: (-entry[1], entry[0]))


def offers_chart(run: Run, look: Look) -> Markup:
    """Offers sent by promotion; of groups under k neither money nor the length of a bar, which would tell their size."""
    entries = []
    for promotion, users, value in by_promotion(run):
        length, amount = (0, "–") if is_few(users, look.facts.k) else (users, look.money(value))
        entries.append(Bar(look.facts.name_of(promotion), length, f"{look.users(users)} offers, {amount} expected"))
    return charts.bars(entries, "Offers sent by promotion, with the profit expected of them", "allocation")


def segments(run: Run) -> list[str]:
    """Segments that were sent anything, by name."""
    return sorted({share.segment for share in run.shares})


def lines(run: Run, facts: Facts) -> list[Line]:
    """One line per promotion with a cell per segment."""
    shares = {(share.promotion_id, share.segment): share.users for share in run.shares}
    most = max((users for users in shares.values() if users), default=1)
    made = []
    for promotion, _, _ in by_promotion(run):
        known = facts.promotions.get(promotion)
        cells = [_cell(shares, (promotion, segment), most) for segment in segments(run)]
        made.append(Line(facts.name_of(promotion), words.plain(known.form) if known else "", cells))
    return made


def use_charts(run: Run, look: Look) -> list[tuple[str, Markup]]:
    """Use against capacity of each limit that is used at all: those counted in money, those counted in offers."""
    made = []
    for quantity, unit in _UNITS.items():
        limits = [limit for limit in _filled(run) if limit.used != 0 and limit.quantity == quantity]
        entries = [_use(limit, unit, look) for limit in sorted(limits, key=_fullest_first)]
        if entries:
            made.append((f"Limits in {unit}", charts.bars(entries, f"Use of each limit counted in {unit}", f"use-{unit}")))
    return made


def unused(run: Run, look: Look) -> list[str]:
    """Limits the plan does not touch, by name."""
    return sorted(look.limit(limit.name) for limit in _filled(run) if limit.used == 0)


def binding(run: Run) -> list[Resource]:
    """Limits that hold the plan back: the total budget, then the dearest first."""
    priced = [limit for limit in run.resources if limit.shadow_price > 1e-9]
    return sorted(priced, key=lambda limit: (limit.name != "budget", -limit.shadow_price, limit.name))


def _cell(shares: Mapping[tuple[str, str], int | None], key: tuple[str, str], most: int) -> Cell:
    if key not in shares:
        return Cell("", 0)
    users = shares[key]
    return Cell("few", 0) if users is None else Cell(words.count(users), 1 + int((_TINTS - 1) * users / most))


def _filled(run: Run) -> list[Resource]:
    return [
        limit for limit in run.resources if not limit.name.startswith(DISPARITY)
    ]  # what they compare is no amount that a bar could fill


def _use(limit: Resource, unit: str, look: Look) -> Bar:
    show, whole = (look.money, look.money) if unit == "money" else (look.users, words.count)
    is_told = limit.used is not None and not (unit == "offers" and is_few(limit.used, look.facts.k))
    share = f" ({words.percent(limit.share)})" if is_told else ""
    length = (limit.used or 0.0) if is_told else 0.0  # neither a share nor the length of a bar may tell how many
    text = f"{show(limit.used)} of {whole(limit.capacity)}{share}"
    return Bar(look.limit(limit.name), length, text, limit.capacity, charts.ACCENT if limit.shadow_price > 0 else charts.SOFT)


def _fullest_first(limit: Resource) -> tuple[bool, float, str]:
    return limit.name != "budget", -(limit.used or 0.0) / (limit.capacity or limit.used or 1.0), limit.name
