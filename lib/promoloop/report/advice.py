"""What the next cycle would change, said in a marketer's words and only where the numbers carry it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from promoloop.report import words
from promoloop.report.facts import Effect, Facts, Run, headline

_SPARE = 0.98  # a limit used less than this is not what holds the plan back

Tone = Literal["good", "bad", "note"]


@dataclass(frozen=True)
class Advice:
    """One thing to do, and why."""

    tone: Tone
    title: str
    why: str


def advise(facts: Facts, currency: str = "") -> list[Advice]:
    """Advice from the latest run and what earlier ones measured, most consequential first; empty before the first plan."""
    run = facts.latest
    if run is None:
        return []
    measured = newest_by_promotion(facts)
    return [
        *_stop_or_keep(facts, measured, currency),
        *_budget(run, currency),
        *_stock(facts, run, currency),
        *_promise(run, currency),
    ]


def newest_by_promotion(facts: Facts) -> dict[str, Effect]:
    """Each promotion's newest causal measure of incremental profit."""
    found: dict[str, Effect] = {}
    for run in facts.runs:
        for scope in {effect.scope for effect in run.effects if effect.kind == "promotion"}:
            effect = headline(run.effects, "incremental_profit", scope)
            if effect is not None and effect.is_causal:
                found[effect.of] = effect
    return dict(sorted(found.items()))


def _stop_or_keep(facts: Facts, measured: dict[str, Effect], currency: str) -> Iterator[Advice]:
    for promotion, effect in measured.items():
        said = f"It earned {words.money(effect.value, currency)} (95 % interval {words.interval(effect.low, effect.high, currency)})."
        if effect.high is not None and effect.high < 0:
            yield Advice("bad", f"Stop or redesign “{facts.name_of(promotion)}”", f"{said} All of the interval is a loss.")
    for promotion, effect in measured.items():
        said = f"It earned {words.money(effect.value, currency)} (95 % interval {words.interval(effect.low, effect.high, currency)})."
        if effect.low is not None and effect.low > 0:
            yield Advice("good", f"Keep “{facts.name_of(promotion)}”", f"{said} All of the interval is a gain.")
    unsure = [facts.name_of(p) for p, e in measured.items() if e.low is not None and e.high is not None and e.low <= 0 <= e.high]
    if unsure:
        named = ", ".join(f"“{name}”" for name in unsure[:4]) + (f" and {len(unsure) - 4} more" if len(unsure) > 4 else "")
        yield Advice(
            "note",
            f"Go on testing {len(unsure)} promotion{'s' if len(unsure) > 1 else ''}",
            f"Their intervals still contain zero: {named}. More offers, or a larger control group, would tell.",
        )


def _budget(run: Run, currency: str) -> Iterator[Advice]:
    budget = run.budget
    if budget is None or not budget.capacity or budget.used is None:
        return
    if budget.shadow_price > 0:
        yield Advice(
            "good",
            "A larger budget would pay",
            f"The plan uses {words.percent(budget.share)} of it; "
            f"{words.tick(budget.step, currency)} more is expected to earn {words.money(budget.worth_of_step, currency)} "
            "on top of itself.",
        )
    elif budget.used < _SPARE * budget.capacity:
        yield Advice(
            "note",
            f"{words.money(budget.capacity - budget.used, currency)} of the budget has no good use",
            "No further offer is expected to earn more than it costs. Better promotions would help, more money would not.",
        )


def _stock(facts: Facts, run: Run, currency: str) -> Iterator[Advice]:
    scarce = [r for r in run.resources if r.name.startswith("inventory:") and r.shadow_price > 0]
    for resource in sorted(scarce, key=lambda resource: (-resource.shadow_price, resource.name))[:3]:
        name = facts.name_of(resource.name.partition(":")[2])
        worth = words.money(resource.shadow_price, currency)
        yield Advice("good", f"Order more of “{name}”", f"Its stock runs out; each further unit is expected to earn {worth}.")
    capped = [r for r in run.resources if r.name.startswith("budget:") and r.shadow_price > 0]
    for resource in sorted(capped, key=lambda resource: (-resource.shadow_price, resource.name))[:3]:
        name = facts.name_of(resource.name.partition(":")[2])
        worth = words.money(resource.shadow_price, currency)
        yield Advice(
            "good", f"Raise the budget of “{name}”", f"It is used up; each further {words.money(1, currency)} is expected to earn {worth}."
        )


def _promise(run: Run, currency: str) -> Iterator[Advice]:
    measured, expected = run.measured_profit, run.expected_profit
    if measured is None or measured.low is None or measured.high is None or not measured.is_causal or expected is None:
        return
    reached = words.interval(measured.low, measured.high, currency)
    if expected > measured.high:
        yield Advice(
            "bad",
            "Trust the forecast less",
            f"{words.money(expected, currency)} was expected, more than the measured interval reaches ({reached}). "
            "The response model learns from it next time.",
        )
    elif expected < measured.low:
        yield Advice(
            "good",
            "The plan did better than promised",
            f"{words.money(expected, currency)} was expected; the measured interval is {reached}.",
        )
