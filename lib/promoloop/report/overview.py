"""The key figures on top of the page."""

from dataclasses import dataclass

from promoloop.report import words
from promoloop.report.facts import Effect, Facts, Run
from promoloop.report.look import Look

_ASSUMED = {
    "observational": "past campaigns were targeted",
    "prior": "there are no past offers to learn from",
}


@dataclass(frozen=True)
class Card:
    """A key figure: what it is, the figure, and one short line of context."""

    title: str
    figure: str
    context: str
    tone: str = ""


def key_figures(facts: Facts, look: Look) -> list[Card]:
    """The cards of the latest run; none before the first."""
    run = facts.latest
    if run is None:
        return []
    promotions = {entry.promotion_id for entry in run.treated}
    return [
        Card("Offers sent", look.users(run.users_sent), f"of {len(promotions)} promotions"),
        Card("Expected profit", look.money(run.expected_profit), expectation(facts)),
        *_measured(run.measured_profit, look),
        *_true(run.true_profit, look),
        *_budget(run, look),
        *_proof(run),
    ]


def expectation(facts: Facts) -> str:
    """What the expected profit is; and that it is assumed, where no offers drawn by lot taught what offers change."""
    why = _ASSUMED.get(facts.effects_rest_on or "")
    return f"beyond what would have been earned anyway{f'; assumed, not measured: {why}' if why else ''}"


def _measured(effect: Effect | None, look: Look) -> list[Card]:
    if effect is None:
        return [Card("Measured profit", "not yet", "known once the offers have run")]
    title = "Measured profit" if effect.is_causal else "Association, not effect"
    return [Card(title, look.money(effect.value), f"95 % interval {look.interval(effect)}", tone(effect))]


def _true(profit: float | None, look: Look) -> list[Card]:
    return [] if profit is None else [Card("True profit", look.money(profit), "known here because the shop is simulated")]


def tone(effect: Effect) -> str:
    """`good` or `bad` where a causal interval is clear of zero, else nothing."""
    if not effect.is_causal or effect.low is None or effect.high is None or effect.low <= 0 <= effect.high:
        return ""
    return "good" if effect.low > 0 else "bad"


def _budget(run: Run, look: Look) -> list[Card]:
    budget = run.budget
    if budget is None:
        return []
    return [
        Card(
            "Budget planned",
            look.money(budget.used),
            f"{words.percent(budget.share)} of {look.money(budget.capacity)}; conceded so far {look.money(run.conceded)}",
        ),
        Card("Worth of more budget", look.money(budget.worth_of_step), f"expected from {look.tick(budget.step)} more"),
    ]


def _proof(run: Run) -> list[Card]:
    if run.certificate is None:
        return []
    return [Card("Gap of the plan", words.percent(run.certificate.gap, 4), "no plan can be better by more than this")]
