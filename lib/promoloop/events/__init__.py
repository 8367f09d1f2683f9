"""Raw records to events: facts about them, rules, repeats, verdicts."""

from promoloop.events.facts import CONTENT, add_facts, add_identity, bot_days, renew_identity
from promoloop.events.judging import judge, judged_schema
from promoloop.events.verdicts import (
    Totals,
    accepted,
    add_verdicts,
    gate,
    moved_per_batch,
    per_batch,
    received_again,
    rejected,
    require_fresh,
)

__all__ = [
    "CONTENT",
    "Totals",
    "accepted",
    "add_facts",
    "add_identity",
    "add_verdicts",
    "bot_days",
    "gate",
    "judge",
    "judged_schema",
    "moved_per_batch",
    "per_batch",
    "received_again",
    "rejected",
    "renew_identity",
    "require_fresh",
]
