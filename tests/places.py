"""Settings of a test: CI's, with all places in one folder."""

import shutil
from pathlib import Path

from promoloop.settings import Settings, load


def settings_in(folder: Path, *assignments: str) -> Settings:
    """CI settings with all paths under `folder`."""
    places = {name: folder / name for name in ("tables", "vault", "landing", "checkpoints", "models")}
    return load(["ci"], [*(f"paths.{name}={path}" for name, path in places.items()), f"paths.out={folder}", *assignments])


def copied(made: Settings, settings: Settings) -> Settings:
    """`settings`, with what tables and models lie in the places of `made` copied into its own."""
    for there, here in ((made.paths.tables, settings.paths.tables), (made.paths.models, settings.paths.models)):
        if Path(there).exists():
            shutil.copytree(there, here)
    return settings
