"""What a person watches while the loop runs: a live table on a terminal, plain lines anywhere else."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table as Grid
from rich.text import Text

from promoloop.cli.loop import Step
from promoloop.launch import Outcome
from promoloop.report import words


class Watcher(Protocol):
    """Is told what happens to each step."""

    def started(self, step: Step) -> None:
        """`step` begins."""

    def finished(self, step: Step, outcome: Outcome, seconds: float) -> None:
        """`step` ended well."""

    def failed(self, step: Step) -> None:
        """`step` did not."""


@contextmanager
def watching(console: Console, steps: Sequence[Step]) -> Iterator[Watcher]:
    """Yield the watcher that suits `console`."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    table = LiveTable(steps)
    # The table itself is the renderable: it is asked again at each refresh, so the seconds of the running step count up.
    with Live(table, console=console, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False):
        yield table


class PlainLines:
    """One line per finished step, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def started(self, step: Step) -> None:
        """Nothing: a line is printed when the step ends."""

    def finished(self, step: Step, outcome: Outcome, seconds: float) -> None:
        """The step's line."""
        counts = f"in {words.count(outcome.rows_in):>10}  out {outcome.rows_out:>10,}  rejected {outcome.rows_rejected:>8,}"
        self._console.print(f"{step.label:<24} {counts}  {seconds:>7.1f} s", soft_wrap=True)

    def failed(self, step: Step) -> None:
        """The step's line."""
        self._console.print(f"{step.label:<24} failed", soft_wrap=True)


class LiveTable:
    """All steps of the run; done, running, and waiting."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._done: dict[str, tuple[Outcome, float]] = {}
        self._running: str | None = None
        self._failed: str | None = None
        self._began = 0.0
        self._spinner = Spinner("dots", style="cyan")

    def started(self, step: Step) -> None:
        """Mark the step as running from now."""
        self._running, self._began = step.label, time.perf_counter()

    def finished(self, step: Step, outcome: Outcome, seconds: float) -> None:
        """Mark the step as done."""
        self._running = None
        self._done[step.label] = (outcome, seconds)

    def failed(self, step: Step) -> None:
        """Mark the step as failed."""
        self._running, self._failed = None, step.label

    def __rich__(self) -> Grid:
        grid = Grid(box=None, pad_edge=False, header_style="dim")
        grid.add_column("", width=1)
        grid.add_column("step", min_width=24)
        for heading in ("rows in", "rows out", "rejected", "seconds"):
            grid.add_column(heading, justify="right", min_width=9)
        for step in self._steps:
            grid.add_row(*self._row(step))
        total = sum(seconds for _, seconds in self._done.values())
        grid.add_row("", Text("total", style="dim"), "", "", "", Text(f"{total:.1f}", style="dim"))
        return grid

    def _row(self, step: Step) -> tuple[RenderableType, ...]:
        if step.label in self._done:
            outcome, seconds = self._done[step.label]
            rejected = Text(f"{outcome.rows_rejected:,}", style="yellow") if outcome.rows_rejected else Text("")
            return Text("✓", style="green"), step.label, words.count(outcome.rows_in), f"{outcome.rows_out:,}", rejected, f"{seconds:.1f}"
        if step.label == self._running:
            elapsed = f"{time.perf_counter() - self._began:.0f}"
            return self._spinner, Text(step.label, style="bold cyan"), "", "", "", Text(elapsed, style="cyan")
        if step.label == self._failed:
            return Text("✗", style="red"), Text(step.label, style="red"), "", "", "", ""
        return "", Text(step.label, style="dim"), "", "", "", ""
