"""Load and run one job file, the way spark-submit would: by its path."""

import importlib.util
from importlib.resources import as_file

from promoloop import home
from promoloop.cli import loop
from promoloop.errors import UserError
from promoloop.launch import Job, as_job


def load(name: str) -> Job:
    """The function `run` of `jobs/<name>.py`, its writes noted as by that job. Raises UserError naming a job there is not."""
    loop.source_code(name)
    with as_file(home.folder("jobs") / f"{name}.py") as path:
        spec = importlib.util.spec_from_file_location(f"promoloop_job_{name}", path)
        if spec is None or spec.loader is None:
            raise UserError(f"step {name} cannot be loaded from {path}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return as_job(module.run, name)
