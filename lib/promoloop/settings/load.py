"""Read settings: `conf/base.toml`, then overlays in order, then `section.key=value` assignments; later wins."""

import tomllib
from collections.abc import Iterable, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from promoloop import home
from promoloop.errors import UserError
from promoloop.settings.model import Settings


def load(overlays: Sequence[str] = (), assignments: Iterable[str] = (), below: Iterable[str] = ()) -> Settings:
    """Return the settings of base, `overlays` and `assignments`.

    An overlay is a path to a TOML file or the name of one in `conf/` (`local`, `ci`, ...). An assignment is
    `section.key=value`, the value read as TOML where it parses and as text otherwise. `below`: assignments that overlays win over.
    Raises UserError naming the file or the key.
    """
    merged = _parse("conf/base.toml", (home.folder("conf") / "base.toml").read_text())
    for assignment in below:
        merged = _merge(merged, _parse_assignment(assignment))
    for overlay in overlays:
        merged = _merge(merged, _read_overlay(overlay))
    for assignment in assignments:
        merged = _merge(merged, _parse_assignment(assignment))
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "settings"
        reason = "is not a known setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise UserError(f"setting {key}: {reason} (got {first['input']!r})") from None


def _read_overlay(overlay: str) -> dict[str, Any]:
    path = Path(overlay)
    if path.is_file():
        return _parse(overlay, text_of(path, f"settings file {overlay}"))
    packed = home.folder("conf") / f"{overlay}.toml"
    if packed.is_file():
        return _parse(overlay, text_of(packed, f"settings file {overlay}"))
    raise UserError(f"no settings file {overlay!r}: neither a path nor the name of a file in conf/")


def text_of(file: Traversable, called: str) -> str:
    """The text of a file of TOML. Raises UserError by what the file is `called` where it cannot be read, or is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{called}: not UTF-8, the encoding of TOML ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{called}: {error.strerror}") from None


def _parse(name: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"settings file {name}: {error}") from None


def _parse_assignment(assignment: str) -> dict[str, Any]:
    key, equals, value = assignment.partition("=")
    if not equals or "." not in key:
        raise UserError(f"--set {assignment!r}: expected section.key=value")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    nested: dict[str, Any] = {}
    inner = nested
    *sections, last = key.strip().split(".")
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[last] = parsed
    return nested


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
