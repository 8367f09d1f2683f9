"""Which job a commit's note names: no Spark needed."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from promoloop import launch, session, tables
from promoloop.settings import Settings
from promoloop.tables import lineage


def job_noted(_: Any, settings: Settings) -> Any:
    """By a thread of its own, as of a stream."""
    with ThreadPoolExecutor(1) as thread:
        return json.loads(thread.submit(lineage.note_for_commit, settings, tables.ITEM_RECOMMENDATIONS).result())["job"]


def test_a_note_names_the_job_that_runs_or_whose_table_it_is(settings: Settings, tmp_path: Path) -> None:
    stream: Any = launch.as_job(job_noted, "stream_recommendations")
    assert [stream(None, settings), job_noted(None, settings)] == ["stream_recommendations", "recommend_items"]
    with lineage.running(settings, "clean_events"):
        assert job_noted(None, settings.at(tables=str(tmp_path / "others"))) == "recommend_items"
        assert stream(None, settings) == "recommend_items", "of two at once nobody knows which one writes"
        assert job_noted(None, settings) == "clean_events"


def test_a_job_file_as_a_program_goes_by_its_own_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["job"])
    monkeypatch.setattr(session, "opened", lambda *_: nullcontext())
    launch.main(job_noted)
    assert capsys.readouterr().out.strip() == Path(__file__).stem
