"""Whether kill -9 at random moments, and a rerun, leave all tables equal to those of an undisturbed run.

`python bench/kill.py --job ingest_events --times 20` (also clean_events, or several --job). Figure: identical_after_kill, of `times`
kills that hit a running job. Of the vault is compared what it keeps, as no two seals of it are alike.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import figures
from pyspark.sql import SparkSession

from promoloop import privacy, session, tables
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


def hashes(folders: Sequence[Path], landing: Path) -> list[dict[str, int]]:
    """Content hashes of the tables under each folder, in one session."""
    every = [load(["ci"], assignments(folder, landing)) for folder in folders]
    with session.opened(every[0]) as spark:
        return [_hashes(spark, settings) for settings in every]


def _hashes(spark: SparkSession, settings: Settings) -> dict[str, int]:
    written = [table for table in tables.TABLES if tables.exists(spark, settings, table)]
    kept = privacy.unsealed(tables.read(spark, settings, tables.VAULT), privacy.load_vault_key(settings))
    contents = {table.name: tables.read(spark, settings, table) for table in written} | {tables.VAULT.name: kept}
    return {name: tables.content_hash(rows) for name, rows in contents.items()}


def is_hit(step: str, ready: Path, folder: Path, landing: Path, moment: float) -> bool:
    """From the state before `step`, kill it after `moment` seconds, run it again, and what follows it; False where it had ended by then."""
    if ready.exists():
        shutil.copytree(ready, folder)
    tried = assignments(folder, landing)
    running = start(step, tried)
    try:
        code = running.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        code = running.wait()
    if code == 0:
        return False
    if code != -signal.SIGKILL:
        raise SystemExit(f"{step} failed undisturbed")
    for after in STEPS[STEPS.index(step) :]:
        finish(after, tried)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", action="append", choices=STEPS, default=None)
    parser.add_argument("--times", type=int, default=20, help="kills per job")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    root = Path(tempfile.mkdtemp(prefix="promoloop-kill-"))
    landing, calm = root / "landing", root / "calm"
    before = {step: root / f"before-{step}" for step in STEPS}
    try:
        finish("simulate_shop", assignments(root / "shop", landing))
        seconds = {}
        for step in STEPS:
            if calm.exists():
                shutil.copytree(calm, before[step])
            seconds[step] = finish(step, assignments(calm, landing))
        for step in options.job or STEPS:
            tried = [root / f"{step}-{number}" for number in range(options.times)]
            for number, folder in enumerate(tried):
                moment = rng.uniform(0.3, 1.0) * seconds[step]  # the first third is the start of Java and Python
                while not is_hit(step, before[step], folder, landing, moment):
                    shutil.rmtree(folder, ignore_errors=True)
                    moment = rng.uniform(0.3, 1.0) * seconds[step]
                print(f"{step} {number + 1} of {options.times}: killed after {moment:.1f} s and run again", file=sys.stderr, flush=True)
            expected, *found = hashes([calm, *tried], landing)
            same = sum(one == expected for one in found)
            figures.say("kill", "identical_after_kill", same, f"of {options.times}", step)
            for folder in tried:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
