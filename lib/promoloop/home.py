"""Where the project's own data files (jobs, conf, expectations) lie: in a checkout, an installed wheel or a --py-files zip."""

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
