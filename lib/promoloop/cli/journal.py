"""What each step of the latest runs did, kept as JSON beside the report so that a resumed run can still sum up the whole."""

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from promoloop.cli.loop import Step
from promoloop.launch import Outcome


@dataclass(frozen=True)
class Record:
    """One step as it last ended well."""

    label: str
    job: str
    cycle: int
    as_of: str
    seconds: float
    rows_in: int | None
    rows_out: int
    rows_rejected: int
    figures: dict[str, Any] = field(default_factory=dict)


def path(out: Path) -> Path:
    """Where the journal of the runs into folder `out` lies."""
    return out / "steps.json"


def load(out: Path) -> dict[str, Record]:
    """Records by label in the order written; none where there is no journal yet."""
    file = path(out)
    if not file.is_file():
        return {}
    return {entry["label"]: Record(**entry) for entry in json.loads(file.read_text())}


def put(out: Path, step: Step, outcome: Outcome, seconds: float) -> Record:
    """Add the record of `step`, replacing the one of an earlier run; the file is replaced atomically."""
    record = Record(
        step.label,
        step.job,
        step.cycle,
        step.as_of.isoformat(),
        round(seconds, 2),
        outcome.rows_in,
        outcome.rows_out,
        outcome.rows_rejected,
        dict(outcome.figures),
    )
    records = load(out)
    records.pop(step.label, None)
    records[step.label] = record
    write_json(path(out), [asdict(entry) for entry in records.values()])
    return record


def keep_only(out: Path, labels: Collection[str]) -> None:
    """Drop the records of steps that are none of `labels`: those of a run of more cycles are no part of one of fewer."""
    records = load(out)
    kept = [asdict(record) for label, record in records.items() if label in labels]
    if len(kept) < len(records):
        write_json(path(out), kept)


def write_json(file: Path, content: Any) -> None:
    """Write `content` as JSON in one move, so that a reader never sees half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")
    os.replace(partial, file)
