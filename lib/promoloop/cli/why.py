"""Why a user gets what they get, from the tables of the plan."""

import re

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Group, RenderableType
from rich.table import Table as Grid

from promoloop import allocation, privacy, tables
from promoloop.allocation.cards import Card, cards, cell_of
from promoloop.allocation.values import worth
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
    cadence = _cadence(spark, settings, name)
    if not found:
        raise UserError(f"user {user}: no promotion may be offered on {settings.run.as_of} (no consent, no channel, or unknown)")
    shown = [card for card in found if promotion in (None, card.promotion_id)]
    if not shown:
        raise UserError(f"user {user} may not get {promotion}; eligible: {', '.join(sorted(card.promotion_id for card in found))}")
    return Group(_grid(shown, given, currency), "", *_sentences(found, given, arm, cadence, currency))


def _pseudonym(spark: SparkSession, settings: Settings, user: str) -> str:
    key = privacy.key_in_use(settings, tables.read_or_empty(spark, settings, tables.KEY_RING))
    row = spark.range(1).select(privacy.pseudonymise(F.lit(user), key)).first()
    return str(row[0]) if row is not None else user


def cards_of(spark: SparkSession, settings: Settings, user: str) -> list[Card]:
    """The cards of a user (pseudonym) in the plan of run.as_of, best first; none where no promotion may be offered."""
    own = (F.col("as_of_on") == F.lit(settings.run.as_of)) & (F.col("user_id") == user)
    scores = tables.read(spark, settings, tables.OFFER_SCORES).where(own)
    plan = tables.read(spark, settings, tables.ALLOCATION_RESOURCES).where(F.col("run_id") == settings.run.run_id).collect()
    described = [row.asDict() for row in plan]
    rows = [row.asDict() for row in scores.withColumn("value", worth(settings.allocation)).collect()]
    offered = [(row["promotion_id"], row["value"], row["expected_cost"]) for row in rows]
    return cards(described, offered, cell_of(described, rows[0])) if rows else []


def _given(spark: SparkSession, settings: Settings, user: str) -> list[str]:
    plan = tables.read(spark, settings, tables.ALLOCATIONS).where((F.col("run_id") == settings.run.run_id) & (F.col("user_id") == user))
    return sorted(str(row["promotion_id"]) for row in plan.select("promotion_id").collect())


def _cadence(spark: SparkSession, settings: Settings, user: str) -> str | None:
    """What cadence has to say of a user; None where it lets them have all they might."""
    own, as_of = settings.allocation, settings.run.as_of
    ledgers = tables.read_all(spark, settings, tables.PAST_OFFERS, tables.OFFERS).where(F.col("user_id") == user)
    lately = allocation.recent(ledgers, tables.read(spark, settings, tables.PROMOTIONS), as_of, own)
    row = None if lately is None else lately.first()
    if row is None:
        return None
    said = [
        f"{sent} of at most {most} offers in {days} days were sent before"
        for days, most, sent in ((7, own.most_in_7_days, row["_sent_7"]), (30, own.most_in_30_days, row["_sent_30"]))
        if most is not None and most - sent < own.offers_per_user
    ]
    said += [f"{form} rests after its last offer" for form in sorted(row["_resting"])]
    return "; ".join(said) or None


def _arm(spark: SparkSession, settings: Settings, user: str) -> str | None:
    ledger = tables.read_or_empty(spark, settings, tables.OFFERS)
    row = ledger.where((F.col("run_id") == settings.run.run_id) & (F.col("user_id") == user)).first()
    return None if row is None else str(row["arm"])


def _grid(shown: list[Card], given: list[str], currency: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    charged = sorted({name for card in shown for name in card.charges})
    for heading in ("promotion", "worth", "expected cost", *(f"charged for {name}" for name in charged), "left", ""):
        grid.add_column(heading, justify="left" if heading in ("promotion", "") else "right")
    for card in shown:
        charges = (words.money(card.charges.get(name, 0.0), currency) for name in charged)
        amounts = (words.money(amount, currency) for amount in (card.value, card.cost))
        left = words.money(card.reduced_value, currency)
        grid.add_row(card.promotion_id, *amounts, *charges, left, "planned" if card.promotion_id in given else "")
    return grid


def _sentences(found: list[Card], given: list[str], arm: str | None, cadence: str | None, currency: str) -> list[str]:
    """What decided, and what would change it."""
    said = [] if cadence is None else [f"cadence: {cadence}"]
    if arm == "explore":
        said.append("left out of the plan: drawn to explore, so that the models learn from offers nobody chose")
    if arm == "control":
        said.append("planned, but withheld by lot: what is measured is measured against users like this one")
    others = [card for card in found if card.promotion_id not in given]
    if not given:
        best = others[0]
        left = f"no offer: the best, {best.promotion_id}, leaves {words.money(best.reduced_value, currency)}"
        is_served = best.reduced_value <= 0 or arm == "explore" or cadence
        return [*said, left + ("" if is_served else "; its limits were used up by others")]
    runner_up, rival = (others[0].reduced_value, others[0].promotion_id) if others else (0.0, "no offer")
    if runner_up < 0:
        runner_up, rival = 0.0, "no offer"
    for card in (card for card in found if card.promotion_id in given):
        margin = card.reduced_value - runner_up
        if margin < 0:
            said.append(f"{rival} would leave {words.money(-margin, currency)} more, but somebody had to give way for all limits to hold")
        else:
            change = f"it would change if {card.promotion_id} were worth {words.money(margin, currency)} less"
            said.append(f"{card.promotion_id} is ahead of {rival} by {words.money(margin, currency)}; {change}")
    return said
