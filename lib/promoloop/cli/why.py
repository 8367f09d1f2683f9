"""Why a user gets what they get, from the tables of the plan."""

import re

from rich.console import Group, RenderableType
from rich.table import Table as Grid

from promoloop import allocation, privacy, tables
from promoloop.allocation.cards import Card, cards, cell_of, with_cadence
from promoloop.allocation.limits import exclusive_groups
from promoloop.allocation.values import worth
from promoloop.cli.lookup import Lookup
from promoloop.errors import UserError
from promoloop.report import words
from promoloop.settings import Settings

_PSEUDONYM = re.compile(r"[0-9a-f]{64}")
_LEAST = 0.00005


def reasons(lookup: Lookup, settings: Settings, user: str, promotion: str | None, currency: str) -> RenderableType:
    """The cards of a user (raw id or pseudonym) in the plan of run.as_of, all promotions or one, and what decided.

    Raises UserError where there is no such plan, the user has no score that day, or `promotion` is none the user may get.
    """
    name = user if _PSEUDONYM.fullmatch(user) else privacy.pseudonym_of(user, privacy.key_of_ring(settings, lookup(tables.KEY_RING)))
    found, run_id = cards_of(lookup, settings, name), settings.run.run_id
    given = sorted(str(row["promotion_id"]) for row in lookup(tables.ALLOCATIONS, run_id=run_id, user_id=name))
    arm = next((str(row["arm"]) for row in lookup(tables.OFFERS, run_id=run_id, user_id=name)), None)
    if not found:
        raise UserError(f"user {user}: no promotion may be offered on {settings.run.as_of} (no consent, no channel, or unknown)")
    found, cadence = under_cadence(found, lookup, settings, name)
    shown = [card for card in found if promotion in (None, card.promotion_id)]
    if not shown:
        raise UserError(f"user {user} may not get {promotion}; eligible: {', '.join(sorted(card.promotion_id for card in found))}")
    return Group(_grid(shown, given, currency), "", *_sentences(found, given, arm, cadence, currency))


def cards_of(lookup: Lookup, settings: Settings, user: str) -> list[Card]:
    """The cards of a user (pseudonym) in the plan of run.as_of, best first; none where no promotion may be offered."""
    described = lookup(tables.ALLOCATION_RESOURCES, run_id=settings.run.run_id)
    if not described:
        raise UserError(f"there is no plan of {settings.run.as_of}: run allocate_promotions first")
    rows = lookup(tables.OFFER_SCORES, as_of_on=settings.run.as_of, user_id=user)
    offered = [(row["promotion_id"], worth(settings.allocation, row.__getitem__), row["expected_cost"]) for row in rows]
    return cards(described, offered, cell_of(described, rows[0])) if rows else []


def under_cadence(found: list[Card], lookup: Lookup, settings: Settings, user: str) -> tuple[list[Card], str | None]:
    """The cards with what cadence charges, and what it has to say; None where it lets the user have all they might."""
    own = settings.allocation
    if not allocation.days_looked_back(own):
        return found, None
    ledgers = [row for table in (tables.PAST_OFFERS, tables.OFFERS) for row in lookup(table, user_id=user)]
    promotions = lookup(tables.PROMOTIONS)
    forms = {row["promotion_id"]: row["form"] for row in promotions}
    lately = allocation.recent_of(ledgers, forms, settings.run.as_of, own)
    said = [
        f"{lately[sent]} of at most {most} offers in {days} days were sent before"
        for days, most, sent in allocation.windows(own)
        if most - lately[sent] < own.offers_per_user
    ]
    said += [f"{form} rests after its last offer" for form in lately["_resting"]]
    groups = dict(zip(forms, exclusive_groups(promotions, own.exclusive) or range(len(forms)), strict=True))
    left = allocation.most_of(lately, own)
    resting = {promotion for promotion, form in forms.items() if form in lately["_resting"]}
    return with_cadence(found, groups, left if left < own.offers_per_user else None, resting), "; ".join(said) or None


def _grid(shown: list[Card], given: list[str], currency: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    cadence = ("cadence",) if any(card.cadence for card in shown) else ()
    for heading in ("promotion", "worth", "expected cost", "charged", *cadence, "left", "for", ""):
        is_text = heading in ("promotion", "for", "")
        grid.add_column(heading, justify="left" if is_text else "right", no_wrap=heading != "for", overflow="fold")
    for card in shown:
        charges = {name: charge for name, charge in card.charges.items() if abs(charge) >= _LEAST}
        said = ", ".join(f"{name} {_amount(charge, currency)}" for name, charge in charges.items())
        held = (card.cadence,) if cadence else ()
        amounts = (card.value, card.cost, sum(card.charges.values()), *held, card.left)
        grid.add_row(card.promotion_id, *(_amount(one, currency) for one in amounts), said, "planned" if card.promotion_id in given else "")
    return grid


def _amount(amount: float, currency: str) -> str:
    """Money, in hundredths of a cent where it is less than one: choices are made on less than a cent."""
    if not _LEAST <= abs(amount) < 1:
        return words.money(amount, currency)
    return f"{'−' if amount < 0 else ''}{currency}{abs(amount):.4f}"


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
        none = f"no offer: the best, {best.promotion_id}, leaves {_amount(best.left, currency)}"
        is_served = best.left <= 0 or arm == "explore"
        perhaps = "the user is left out of the plan (held out, or drawn to explore), or its limits were used up by others"
        return [*said, none if is_served else f"{none}; {perhaps}"]
    runner_up, rival = (others[0].left, others[0].promotion_id) if others else (0.0, "no offer")
    if runner_up < 0:
        runner_up, rival = 0.0, "no offer"
    for card in (card for card in found if card.promotion_id in given):
        margin = card.left - runner_up
        if margin < 0:
            said.append(f"{rival} would leave {_amount(-margin, currency)} more, but somebody had to give way for all limits to hold")
        else:
            change = f"it would change if {card.promotion_id} were worth {_amount(margin, currency)} less"
            said.append(f"{card.promotion_id} is ahead of {rival} by {_amount(margin, currency)}; {change}")
    return said
