"""A planned take is planned anew only where it was not finished."""

from pathlib import Path

import pytest

from promoloop.sources.checkpoint import path_here, plan_anew


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """One of a query that finished two takes, with the sums Hadoop writes beside its files."""
    for log, takes in (("offsets", (0, 1)), ("commits", (0, 1))):
        for take in takes:
            _write(tmp_path / log, take)
    return tmp_path


def _write(log: Path, take: int) -> None:
    log.mkdir(exist_ok=True)
    (log / str(take)).write_text("v1")
    (log / f".{take}.crc").write_text("sum")


def _names(log: Path) -> set[str]:
    return {entry.name for entry in log.iterdir()}


def test_what_was_planned_and_not_finished_is_forgotten_and_nothing_else(checkpoint: Path) -> None:
    whole = _names(checkpoint / "offsets")
    plan_anew(str(checkpoint))
    assert _names(checkpoint / "offsets") == whole, "all were finished"
    _write(checkpoint / "offsets", 2)
    plan_anew(f"file://{checkpoint}/")
    assert _names(checkpoint / "offsets") == whole
    assert _names(checkpoint / "commits") == whole


def test_where_there_is_nothing_or_no_disk_nothing_happens(tmp_path: Path) -> None:
    plan_anew(str(tmp_path / "not there"))
    plan_anew("s3://shop/checkpoints/stream")
    assert path_here("s3://shop/checkpoints/stream") is None
    assert list(tmp_path.iterdir()) == []
