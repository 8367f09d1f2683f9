"""Settings: frozen pydantic models read from TOML (base, overlays) and `--set section.key=value`."""

from promoloop.settings.load import load
from promoloop.settings.model import Settings

__all__ = ["Settings", "load"]
