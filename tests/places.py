"""Settings of a test: CI's, with all places in one folder."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from promoloop import registry
from promoloop.settings import Settings, load

# one Java writes all tables of the tests, so its lock guards commits, without a dozen `readlink` processes for each
_COMMITS = "spark.java_options=-Dspark.delta.logStore.file.impl=io.delta.storage.LocalLogStore"

# what a query on next to nothing costs is the suite's time. Whole stages are compiled as ever; the small projections around them, written
# anew in every task, are a tenth of it, and plans made anew after each stage another one, so what those make of a small shuffle, one
# partition, is said beforehand
QUICK = {"spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": "1"}
AS_PEOPLE_RUN_IT = {"spark.sql.adaptive.enabled": "true", "spark.sql.shuffle.partitions": "2"}


def settings_in(folder: Path, *assignments: str) -> Settings:
    """CI settings with all paths under `folder`."""
    places = {name: folder / name for name in ("tables", "vault", "landing", "checkpoints", "models")}
    return load(["ci"], [*(f"paths.{name}={path}" for name, path in places.items()), f"paths.out={folder}", _COMMITS, *assignments])


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Settings], object]) -> Settings:
    """Settings whose places `make` filled, once for all processes of a test run; one that comes meanwhile waits. Not to be written to."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    made = folder / "made"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            places = tempfile.mkdtemp(dir=folder)  # another one where a first try failed: Spark remembers tables by their path
            make(settings_in(Path(places)))
            made.write_text(places)
    return settings_in(Path(made.read_text()))


def copied(made: Settings, settings: Settings) -> Settings:
    """`settings`, with the tables of `made` copied into its own places, and its models known there, too: new ones are its own."""
    shutil.copytree(made.paths.tables, settings.paths.tables)
    registry.copy(made, settings)
    return settings
