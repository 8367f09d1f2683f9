"""A job file as a module, loaded by its path as spark-submit would."""

import importlib.util
from pathlib import Path
from types import ModuleType


def job(name: str) -> ModuleType:
    """`jobs/<name>.py`."""
    spec = importlib.util.spec_from_file_location(f"job_{name}", Path(__file__).parents[2] / "jobs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
