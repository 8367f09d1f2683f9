"""Settings of a test: CI's, with all places in one folder."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from promoloop.settings import Settings, load


def settings_in(folder: Path, *assignments: str) -> Settings:
    """CI settings with all paths under `folder`."""
    places = {name: folder / name for name in ("tables", "vault", "landing", "checkpoints", "models")}
    return load(["ci"], [*(f"paths.{name}={path}" for name, path in places.items()), f"paths.out={folder}", *assignments])


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Settings], object]) -> Settings:
    """Settings whose places `make` filled, once for all processes of a test run; one that comes meanwhile waits. Not to be written to."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    settings = settings_in(folder / "places")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            shutil.rmtree(folder / "places", ignore_errors=True)  # of one who failed
            make(settings)
            (folder / "made").touch()
    return settings


def copied(made: Settings, settings: Settings) -> Settings:
    """`settings`, with what tables and models lie in the places of `made` copied into its own."""
    for there, here in ((made.paths.tables, settings.paths.tables), (made.paths.models, settings.paths.models)):
        if Path(there).exists():
            shutil.copytree(there, here)
    return settings
