"""Why a user gets what they get, from the tables of the plan."""

import re

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Group, RenderableType
from rich.table import Table as Grid

from promoloop import allocation, privacy, tables
from promoloop.allocation.cards import Card, cards
from promoloop.errors import UserError
from promoloop.report import words
from promoloop.settings import Settings

_PSEUDONYM = re.compile(r"[0-9a-f]{64}")


def reasons(spark: SparkSession, settings: Settings, user: str, promotion: str | None, currency: str) -> RenderableType:
    """The cards of a user (raw id or pseudonym) in the plan of run.as_of, all promotions or one, and what decided.

    Raises UserError where the user has no score that day, or `promotion` is none the user may get.
    """
    name = user if _PSEUDONYM.fullmatch(user) else _pseudonym(spark, settings, user)
    found, given, arm = cards_of(spark, settings, name), _given(spark, settings, name), _arm(spark, settings, name)
    if not found:
        raise UserError(f"user {user}: no promotion may be offered on {settings.run.as_of} (no consent, no channel, or unknown)")
    shown = [card for card in found if promotion in (None, card.promotion_id)]
    if not shown:
        raise UserError(f"user {user} may not get {promotion}; eligible: {', '.join(sorted(card.promotion_id for card in found))}")
    return Group(_grid(shown, given, currency), "", *_sentences(found, given, arm, currency))


def _pseudonym(spark: SparkSession, settings: Settings, user: str) -> str:
    key = privacy.key_in_use(settings, tables.read_or_empty(spark, settings, tables.KEY_RING))
    row = spark.range(1).select(privacy.pseudonymise(F.lit(user), key)).first()
    return str(row[0]) if row is not None else user


def cards_of(spark: SparkSession, settings: Settings, user: str) -> list[Card]:
    """The cards of a user (pseudonym) in the plan of run.as_of, best first; none where no promotion may be offered."""
    own, as_of = settings.allocation, settings.run.as_of
    scores = tables.read(spark, settings, tables.OFFER_SCORES).where(F.col("as_of_on") == F.lit(as_of))
    values = scores.transform(allocation.valued, own)
    offered = allocation.offered(values, own)
    promotions = tables.read(spark, settings, tables.PROMOTIONS).where(F.col("promotion_id").isin(offered.promotion_ids)).collect()
    problem = allocation.problem_of([row.asDict() for row in promotions], own, settings.execution.explore_reserve, offered.cells)
    rows = values.where(F.col("user_id") == user).transform(allocation.add_cells, offered.cells).collect()
    plan = tables.read(spark, settings, tables.ALLOCATION_RESOURCES).where(F.col("run_id") == settings.run.run_id)
    prices = {row["resource"]: row["shadow_price"] for row in plan.where("resource <> 'plan'").collect()}
    return cards(problem, prices, [(r["promotion_id"], r["value"], r["cost"]) for r in rows], rows[0]["cell"] if rows else 0)


def _given(spark: SparkSession, settings: Settings, user: str) -> str | None:
    plan = tables.read(spark, settings, tables.ALLOCATIONS).where((F.col("run_id") == settings.run.run_id) & (F.col("user_id") == user))
    row = plan.first()
    return None if row is None else str(row["promotion_id"])


def _arm(spark: SparkSession, settings: Settings, user: str) -> str | None:
    ledger = tables.read_or_empty(spark, settings, tables.OFFERS)
    row = ledger.where((F.col("run_id") == settings.run.run_id) & (F.col("user_id") == user)).first()
    return None if row is None else str(row["arm"])


def _grid(shown: list[Card], given: str | None, currency: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    charged = sorted({name for card in shown for name in card.charges})
    for heading in ("promotion", "worth", "expected cost", *(f"charged for {name}" for name in charged), "left", ""):
        grid.add_column(heading, justify="left" if heading in ("promotion", "") else "right")
    for card in shown:
        charges = (words.money(card.charges.get(name, 0.0), currency) for name in charged)
        amounts = (words.money(amount, currency) for amount in (card.value, card.cost))
        left = words.money(card.reduced_value, currency)
        grid.add_row(card.promotion_id, *amounts, *charges, left, "planned" if card.promotion_id == given else "")
    return grid


def _sentences(found: list[Card], given: str | None, arm: str | None, currency: str) -> list[str]:
    """What decided, and what would change it."""
    said = []
    if arm == "explore":
        said.append("left out of the plan: drawn to explore, so that the models learn from offers nobody chose")
    if arm == "control":
        said.append("planned, but withheld by lot: what is measured is measured against users like this one")
    left = {card.promotion_id: card.reduced_value for card in found}
    best = found[0]
    if given is None:
        worth = f"the best, {best.promotion_id}, leaves {words.money(best.reduced_value, currency)}"
        return [
            *said,
            f"no offer: {worth}" + ("" if best.reduced_value <= 0 or arm == "explore" else "; its limits were used up by others"),
        ]
    others = max((value for name, value in left.items() if name != given), default=0.0)
    rival = next((card.promotion_id for card in found if card.promotion_id != given and card.reduced_value == others), None)
    if others < 0 or rival is None:
        others, rival = 0.0, "no offer"
    margin = left[given] - others
    if margin < 0:
        return [*said, f"{rival} would leave {words.money(-margin, currency)} more, but somebody had to give way for all limits to hold"]
    change = f"it would change if {given} were worth {words.money(margin, currency)} less"
    return [*said, f"{given} is ahead of {rival} by {words.money(margin, currency)}; {change}"]
