"""The end of a run in a marketer's words."""

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from promoloop.report import overview, planned, words
from promoloop.report.facts import Facts, Run, is_few
from promoloop.report.look import Look

_NO_BUDGET = "the budget is 0: nobody is sent what is expected to cost anything"


def summary(facts: Facts, currency: str) -> RenderableType:
    """Data, plan, money and what was measured, of the latest run."""
    look = Look(facts, currency)
    parts: list[RenderableType] = ["", _heading("Data"), _data(facts)]
    run = facts.latest
    if run is not None:
        parts += [
            "",
            _heading(f"Who gets what ({run.run_id})"),
            _offers(run, facts, look),
            _arms(run, look),
            "",
            _heading("Money"),
            _money(run, look),
        ]
        if facts.violations:
            broken = sum(facts.violations.values())
            parts += ["", Text(f"Plan: {_proof(run, look)}{broken} limits broken", style="green" if broken == 0 else "bold red")]
        if facts.was_issued_before:
            parts.append("It was issued before: plan and offers stay as they are (plan for a later day with run.as_of).")
    return Group(*parts)


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _data(facts: Facts) -> str:
    total = facts.total
    parts = f"{words.count(total.accepted)} accepted, {words.count(total.rejected)} rejected, {words.count(total.duplicates)} duplicates"
    return f"{words.count(total.received)} records received: {parts}"


def _proof(run: Run, look: Look) -> str:
    proof = run.certificate
    if proof is None:
        return ""
    best = f"no plan can be worth more than {look.money(proof.bound)} (gap {words.percent(proof.gap, 4)})"
    return f"worth {look.money(proof.objective)} in its objective, {best}; "


def _offers(run: Run, facts: Facts, look: Look) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    grid.add_column("promotion")
    grid.add_column("offers", justify="right")
    for segment in planned.segments(run):
        grid.add_column(words.plain(segment), justify="right")
    grid.add_column("expected profit", justify="right")
    sent = {promotion: (users, value) for promotion, users, value in planned.by_promotion(run)}
    for (users, value), line in zip(sent.values(), planned.lines(run, facts), strict=True):
        amount = "–" if is_few(users, facts.k) else look.money(value)
        grid.add_row(words.short(line.promotion), look.users(users), *(cell.text for cell in line.cells), amount)
    return grid


def _arms(run: Run, look: Look) -> Text:
    held, explored = look.users(run.users_in("control")), look.users(run.users_in("explore"))
    return Text(f"withheld by lot, to measure against: {held}; drawn at random, to learn from: {explored}", style="dim")


def _money(run: Run, look: Look) -> Grid:
    grid = Grid(box=None, pad_edge=False, show_header=False)
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column()
    budget, measured = run.budget, run.measured_profit
    if budget is not None:
        share = f"{words.percent(budget.share)} of {look.money(budget.capacity)}" if budget.capacity else _NO_BUDGET
        grid.add_row("budget planned", look.money(budget.used), share)
        grid.add_row("worth of more budget", look.money(budget.worth_of_step), f"expected from {look.tick(budget.step)} more")
    grid.add_row("conceded so far", look.money(run.conceded), "on the offers that were redeemed")
    grid.add_row("expected profit", look.money(run.expected_profit), overview.expectation(look.facts))
    if measured is None:
        grid.add_row("measured profit", "not yet", "known once the offers have run")
    else:
        name = "measured profit" if measured.is_causal else "association"
        how = f"95 % interval {look.interval(measured)}, {words.plain(measured.method)}"
        caution = "" if measured.is_causal else "; not an effect: users were chosen, not drawn by lot"
        grid.add_row(name, look.money(measured.value), how + caution)
    if run.true_profit is not None:
        grid.add_row("true profit", look.money(run.true_profit), "known because the shop is simulated")
    return grid
