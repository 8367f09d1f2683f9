"""Settings of a test: CI's, with all places in one folder."""

from pathlib import Path

from promoloop.settings import Settings, load


def settings_in(folder: Path, *assignments: str) -> Settings:
    """CI settings with all paths under `folder`."""
    places = {name: folder / name for name in ("tables", "vault", "landing", "checkpoints", "models")}
    return load(["ci"], [*(f"paths.{name}={path}" for name, path in places.items()), f"paths.out={folder}", *assignments])
