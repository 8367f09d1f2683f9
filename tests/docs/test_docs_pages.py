import re
import shlex
from pathlib import Path

import pytest
import typer.main

from promoloop import home
from promoloop.cli import app, loop

ROOT = home.root()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_COMMAND = r"promoloop ((?:run|status|report|truth|design|simulate-plan|requeue|forget|rekey|reproduce|source)\b[^`#\n|]*)"
COMMANDS = sorted({line.strip() for page in PAGES for line in re.findall(_COMMAND, page.read_text())})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_in_the_pages_exist_with_their_options(command: str) -> None:
    words = shlex.split(command)
    known = typer.main.get_command(app.app)
    while words and words[0] in getattr(known, "commands", {}):
        known = known.commands[words.pop(0)]  # type: ignore[attr-defined]
    options = {name for parameter in known.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_the_architecture_page_tells_what_each_job_reads_and_writes() -> None:
    rows = re.findall(r"^\| \S+ \| (\w+_\w+) \| (.*?) \| (.*?) \|$", (ROOT / "docs" / "architecture.md").read_text(), flags=re.MULTILINE)
    told = {job: (set(re.findall(r"\w+", read)), set(re.findall(r"\w+", written))) for job, read, written in rows}
    assert set(told) == set(loop.JOBS)
    for job, (_, written) in told.items():
        assert {table.name for table in loop.writes(job)} <= written, job
