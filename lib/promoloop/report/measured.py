"""What offers earned: by promotion, form, segment and method; run against run; and what earlier campaigns tell."""

from collections.abc import Iterable

from markupsafe import Markup

from promoloop.report import charts, words
from promoloop.report.charts import Measure
from promoloop.report.facts import Effect, Facts, Run, headline
from promoloop.report.look import Look

PROFIT = "incremental_profit"
_BREAKDOWNS = (("By promotion", "promotion"), ("By form", "form"), ("By segment", "segment"))


def run_charts(run: Run, look: Look) -> list[tuple[str, Markup]]:
    """Incremental profit of the run: the whole by every method, its breakdowns by the best method of each, and by rank."""
    profit = tuple(effect for effect in run.effects if effect.metric == PROFIT)
    whole = sorted((effect for effect in profit if effect.scope == "all"), key=lambda effect: effect.method)
    made = []
    if whole:
        entries = [_measure(words.plain(effect.method), effect, look, run) for effect in whole]
        made.append(("The whole plan, by method", charts.measures(entries, "Profit of the plan by method", "effect-method", look.tick)))
    for title, kind in _BREAKDOWNS:
        scopes = sorted({effect.scope for effect in profit if effect.kind == kind})
        best = [effect for scope in scopes if (effect := headline(profit, PROFIT, scope)) is not None]
        best.sort(key=lambda effect: (effect.value is None, -(effect.value or 0.0), effect.scope))
        entries = [_measure(look.scope(effect), effect, look, run) for effect in best]
        if entries:
            made.append((title, charts.measures(entries, f"Incremental profit {title.lower()}", f"effect-{kind}", look.tick)))
    ranked = ranking_chart(run, look)
    return [*made, ("Per user, best-ranked users first", ranked)] if ranked else made


def ranking_chart(run: Run, look: Look) -> Markup | None:
    """Profit per user among those ranked best by expected value, down to all; None where it was not measured."""
    metric = f"{PROFIT}_per_user"
    depths = sorted({int(effect.of) for effect in run.effects if effect.kind == "top" and effect.metric == metric})
    found = [(f"best {depth} %", headline(run.effects, metric, f"top:{depth}")) for depth in depths]
    entries = [_measure(label, effect, look) for label, effect in [*found, ("all", headline(run.effects, metric, "all"))] if effect]
    return charts.measures(entries, "Profit per user, best-ranked users first", "effect-top", look.tick) if depths else None


def cycles_chart(facts: Facts, look: Look) -> Markup | None:
    """Expected and measured profit run against run; None where fewer than two were measured."""
    measured = [(run, run.measured_profit) for run in facts.runs]
    entries = [_measure(run.run_id, effect, look, run) for run, effect in measured if effect is not None]
    if len(entries) < 2:
        return None
    return charts.measures(entries, "Expected and measured profit by cycle", "cycles", look.tick)


def cycles(facts: Facts, look: Look) -> list[tuple[Run, Effect | None, str]]:
    """Each run with what was measured, and the interval in words."""
    measured = [(run, run.measured_profit) for run in facts.runs]
    return [(run, effect, look.interval(effect) if effect else "–") for run, effect in measured]


def past_charts(facts: Facts, look: Look) -> list[tuple[str, Markup]]:
    """Campaigns before ours, a line each: profit of those drawn by lot, and the association of those that were targeted."""
    return [
        *_past(facts, look, PROFIT, "Drawn by lot: incremental profit", "past-drawn"),
        *_past(facts, look, "profit_change_gap", "Targeted: profit per user, change against everybody else", "past-targeted"),
    ]


def _past(facts: Facts, look: Look, metric: str, title: str, name: str) -> list[tuple[str, Markup]]:
    run_ids = sorted({effect.run_id for effect in facts.past})
    best = [headline(tuple(e for e in facts.past if e.run_id == run_id), metric, "all") for run_id in run_ids]
    entries = [_measure(effect.run_id, effect, look) for effect in best if effect is not None]
    return [(title, charts.measures(entries, title, name, look.tick))] if entries else []


def has_associations(effects: Iterable[Effect]) -> bool:
    """Whether any of the effects is an association."""
    return any(effect.is_association for effect in effects)


def figures(run: Run, look: Look) -> list[tuple[Effect, str, str]]:
    """Every number measured on the run as a whole or on a policy, with its value and interval in words."""
    whole = [effect for effect in run.effects if effect.kind in ("all", "policy")]
    whole.sort(key=lambda effect: (effect.metric, effect.scope, effect.method))
    return [(effect, *_in_words(effect, look)) for effect in whole]


def _measure(label: str, effect: Effect, look: Look, run: Run | None = None) -> Measure:
    """The effect as a line of a chart, beside what `run` expected of the same scope and what is known to be true."""
    text = "–" if effect.value is None else f"{look.money(effect.value)}  ({look.interval(effect)})"
    others = run.effects if run else ()
    expected, truth = (headline(others, metric, effect.scope) for metric in ("expected_profit", "true_incremental_profit"))
    promised = expected.value if expected else run.expected_profit if run and effect.scope == "all" else None
    return Measure(label, effect.value, effect.low, effect.high, text, promised, truth.value if truth else None, effect.is_causal)


def _in_words(effect: Effect, look: Look) -> tuple[str, str]:
    low, high, metric = effect.low, effect.high, effect.metric
    if effect.value is None:
        return "–", "–"
    if metric.endswith("rate"):
        spread = "–" if low is None or high is None else f"{words.percent(low, 1)} to {words.percent(high, 1)}"
        return words.percent(effect.value, 2), spread
    if metric in ("roi", "calibration"):
        return f"{effect.value:,.2f}", "–" if low is None or high is None else f"{low:,.2f} to {high:,.2f}"
    if metric == "effective_users":
        return words.count(effect.value), "–"
    return look.money(effect.value), "–" if low is None else look.interval(effect)
