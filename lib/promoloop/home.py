"""Where the project's own data files (jobs, conf, expectations) lie: in a checkout, an installed wheel or a --py-files zip."""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

_checkout = Path(__file__).resolve().parents[2]


def folder(name: str) -> Traversable:
    """The folder `name` (`jobs`, `conf` or `expectations`) of the checkout, or the copy packed into wheel and zip."""
    beside = _checkout / name
    return beside if beside.is_dir() else files("promoloop") / "_home" / name


def root() -> Path:
    """The checkout, or the current folder where promoloop runs from a wheel or a zip."""
    return _checkout if (_checkout / "jobs").is_dir() else Path.cwd()


@cache
def code_mark() -> str:
    """8 hex characters of the text of the package and its jobs: the same in a checkout, a wheel and a zip, and other with other code."""
    text = hashlib.sha256()
    for name, file in sorted((*_python(files("promoloop"), "promoloop"), *_python(folder("jobs"), "jobs")), key=lambda one: one[0]):
        text.update(name.encode() + b"\0" + file.read_bytes())
    return text.hexdigest()[:8]


def _python(place: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for entry in place.iterdir():
        if entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry
        elif entry.is_dir() and entry.name != "_home":
            yield from _python(entry, f"{name}/{entry.name}")
