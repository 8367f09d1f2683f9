"""Run the steps of a plan one after the other in one session, telling the watcher and keeping the journal."""

import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from promoloop.cli import jobs, journal
from promoloop.cli.live import Watcher
from promoloop.cli.loop import Step
from promoloop.errors import UserError
from promoloop.settings import Settings


class StepError(Exception):
    """A step broke for a reason that is not the user's; its traceback is in a log file named in the text."""


class StepInterruptedError(Exception):
    """Somebody stopped the run during the step whose label this is, one of several or alone."""

    def __init__(self, label: str, is_one_of_several: bool) -> None:
        super().__init__(label)
        self.is_one_of_several = is_one_of_several


def logs_folder(settings: Settings) -> Path:
    """Where logs of Spark and of broken steps are kept."""
    return settings.paths.out_folder / "logs"


def run_steps(spark: SparkSession, settings: Settings, steps: Sequence[Step], watcher: Watcher) -> None:
    """Run `steps` in order; every job is loaded before the first one runs.

    Raises UserError (with the step's name before it) for a user's error, StepInterruptedError on Ctrl-C, StepError for any other error.
    """
    loaded = {step.job: jobs.load(step.job) for step in steps}
    for step in steps:
        watcher.started(step)
        began = time.perf_counter()
        try:
            outcome = loaded[step.job](spark, step.settings(settings))
        except UserError as error:
            watcher.failed(step)
            raise UserError(f"step {step.label}: {error}") from error
        except Exception as error:
            watcher.failed(step)
            raise StepError(_describe(settings, step, error)) from error
        except KeyboardInterrupt:
            watcher.failed(step)
            raise StepInterruptedError(step.label, len(steps) > 1) from None
        seconds = time.perf_counter() - began
        watcher.finished(step, outcome, seconds)
        journal.put(settings.paths.out_folder, step, outcome, seconds)


def _describe(settings: Settings, step: Step, error: Exception) -> str:
    log = logs_folder(settings) / f"{step.label.replace(':', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(traceback.format_exception(error)))
    return f"step {step.label} broke ({type(error).__name__}); the traceback is in {log}"
