"""Whether kill -9 at random moments, and a rerun, leave all tables equal to those of an undisturbed run.

`python bench/kill.py --job ingest_events --times 20` (also clean_events, or several --job). Figure: identical_after_kill, of `times`.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from promoloop import session, tables
from promoloop.settings import Settings, load

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("ingest_events", "clean_events")


def assignments(folder: Path, landing: Path) -> list[str]:
    places = [f"paths.{name}={folder / name}" for name in ("tables", "vault", "checkpoints", "models")]
    return [*places, f"paths.out={folder}", f"paths.landing={landing}"]


def start(step: str, assigned: list[str]) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        str(ROOT / "jobs" / f"{step}.py"),
        "--config",
        "ci",
        *[part for text in assigned for part in ("--set", text)],
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def finish(step: str, assigned: list[str]) -> float:
    """Run a step to its end; seconds."""
    began = time.monotonic()
    if start(step, assigned).wait() != 0:
        raise SystemExit(f"{step} failed undisturbed")
    return time.monotonic() - began


def hashes(settings: Settings) -> dict[str, int]:
    with session.opened(settings) as spark:
        written = [table for table in tables.TABLES if tables.exists(spark, settings, table)]
        return {table.name: tables.content_hash(tables.read(spark, settings, table)) for table in written}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", action="append", choices=STEPS, default=None)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="promoloop-kill-"))
    try:
        landing = folder / "landing"
        finish("simulate_shop", assignments(folder / "shop", landing))
        calm = assignments(folder / "calm", landing)
        seconds = {step: finish(step, calm) for step in STEPS}
        expected = hashes(load(["ci"], calm))
        for step in options.job or STEPS:
            same = 0
            for number in range(options.times):
                tried = assignments(folder / f"{step}-{number}", landing)
                for before in STEPS[: STEPS.index(step)]:
                    finish(before, tried)
                killed = start(step, tried)
                time.sleep(rng.uniform(0.3, 1.0) * seconds[step])  # the first third is the start of Java and Python
                os.killpg(killed.pid, signal.SIGKILL)
                killed.wait()
                for after in STEPS[STEPS.index(step) :]:
                    finish(after, tried)
                same += hashes(load(["ci"], tried)) == expected
                shutil.rmtree(folder / f"{step}-{number}", ignore_errors=True)
            figure = {"bench": "kill", "figure": "identical_after_kill", "value": same, "unit": f"of {options.times}", "size": step}
            print(json.dumps(figure), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
