"""How a job file starts as a program, and what every job returns."""

import argparse
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path

from pyspark.sql import SparkSession

from promoloop import session
from promoloop.errors import UserError
from promoloop.settings import Settings, load
from promoloop.tables import lineage


@dataclass(frozen=True)
class Outcome:
    """What a step did: rows it read and wrote (from write metrics, never from a scan of its own), and figures worth showing.

    `rows_in` is None where the step does not count what it reads.
    """

    rows_in: int | None = None
    rows_out: int = 0
    rows_rejected: int = 0
    figures: Mapping[str, float | int | str] = field(default_factory=dict)


Job = Callable[[SparkSession, Settings], Outcome]


def as_job(run: Job, name: str) -> Job:
    """`run`, with what it writes noted as by job `name`."""

    @wraps(run)
    def noted(spark: SparkSession, settings: Settings) -> Outcome:
        with lineage.running(settings, name):
            return run(spark, settings)

    return noted


def main(run: Job, is_stream: bool = False) -> None:
    """Run a job file as a program (spark-submit or python): `--config OVERLAY`, `--set section.key=value`, both repeatable.

    `is_stream`: it answers what comes in, take by take. Exit code 2 and one line on standard error for a user's error.
    """
    parser = argparse.ArgumentParser(description=run.__doc__)
    parser.add_argument("--config", action="append", default=[], metavar="OVERLAY")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="assignments")
    options = parser.parse_args()
    job = as_job(run, Path(inspect.getfile(run)).stem)
    try:
        settings = load(options.config, options.assignments)
        with session.opened(settings, is_stream) as spark:
            print(job(spark, settings))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
