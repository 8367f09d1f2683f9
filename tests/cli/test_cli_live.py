from io import StringIO

from rich.console import Console

from promoloop.cli import live, loop
from promoloop.launch import Outcome
from promoloop.settings import Settings


def shown(console: Console) -> dict[str, list[str]]:
    """The words of each line on a console, by step."""
    assert isinstance(console.file, StringIO)
    lines = [line.replace("✓", " ").replace("✗", " ").split() for line in console.file.getvalue().splitlines() if line.strip()]
    return {line[0]: line[1:] for line in lines}


def test_the_live_table_tells_what_each_step_did_and_a_dash_where_it_does_not_say(settings: Settings) -> None:
    read, made, broken, waiting = loop.plan(settings)[:4]
    table = live.LiveTable([read, made, broken, waiting])
    for step, outcome in ((read, Outcome(1234, 1200, 34)), (made, Outcome(rows_out=7))):
        table.started(step)
        table.finished(step, outcome, 1.5)
    table.started(broken)
    table.failed(broken)
    console = Console(file=StringIO(), width=100)
    console.print(table)
    assert shown(console) == {
        "step": ["rows", "in", "rows", "out", "rejected", "seconds"],
        read.label: ["1,234", "1,200", "34", "1.5"],
        made.label: ["–", "7", "1.5"],
        broken.label: [],
        waiting.label: [],
        "total": ["3.0"],
    }


def test_plain_lines_tell_the_same(settings: Settings) -> None:
    read, made = loop.plan(settings)[:2]
    console = Console(file=StringIO(), width=100)
    with live.watching(console, [read, made]) as watcher:
        watcher.finished(read, Outcome(1234, 1200, 34), 1.5)
        watcher.finished(made, Outcome(rows_out=7), 1.5)
    assert shown(console) == {
        read.label: ["in", "1,234", "out", "1,200", "rejected", "34", "1.5", "s"],
        made.label: ["in", "–", "out", "7", "rejected", "0", "1.5", "s"],
    }
