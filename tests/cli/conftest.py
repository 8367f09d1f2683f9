"""A house with small jobs of its own, so that the command line is tested without the weight of the real ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from promoloop import home

_JOB = '''"""events -> {written}"""
from promoloop.errors import UserError
from promoloop.launch import Outcome

def run(spark, settings):
    {body}
    return Outcome(rows_in=spark.range(5).count(), rows_out=3, rows_rejected=2, figures={{"day": str(settings.run.as_of)}})
'''


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a job file per name; the value is a line of its body."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    real = home.folder
    monkeypatch.setattr(home, "folder", lambda name: folder if name == "jobs" else real(name))

    def write(**bodies: str) -> Path:
        for name, body in bodies.items():
            (folder / f"{name}.py").write_text(_JOB.format(written="events_rejected", body=body))
        return folder

    return write
