"""Whether kill -9 at random moments, and a rerun, leave all tables equal to those of an undisturbed run.

`python bench/kill.py --job ingest_events --times 20`: any step of a loop of the small shop, by the name `promoloop run --dry-run` prints;
several --job; default: ingest_events and clean_events. Figure: identical_after_kill, of `times` kills that hit a running job. Of the vault
is compared what it keeps, as no two seals of it are alike; durations are left out.
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
from promoloop.cli import loop
from promoloop.cli.loop import Step
from promoloop.settings import Settings, load

ROOT = Path(__file__).resolve().parents[1]
FOLLOWED = {"ingest_events": ("clean_events",)}  # what must come out the same, too, of what was left


def assignments(folder: Path, landing: Path) -> list[str]:
    places = [f"paths.{name}={folder / name}" for name in ("tables", "vault", "checkpoints", "models")]
    return [*places, f"paths.out={folder}", f"paths.landing={landing}"]


def start(job: str, assigned: list[str]) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        str(ROOT / "jobs" / f"{job}.py"),
        "--config",
        "ci",
        *[part for text in assigned for part in ("--set", text)],
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def finish(job: str, assigned: list[str]) -> float:
    """Run a job to its end; seconds."""
    began = time.monotonic()
    if start(job, assigned).wait() != 0:
        raise SystemExit(f"{job} failed undisturbed")
    return time.monotonic() - began


def hashes(folders: Sequence[Path], landing: Path) -> list[dict[str, int]]:
    """Content hashes of the tables under each folder, in one session."""
    every = [load(["ci"], assignments(folder, landing)) for folder in folders]
    with session.opened(every[0]) as spark:
        return [_hashes(spark, settings) for settings in every]


def _hashes(spark: SparkSession, settings: Settings) -> dict[str, int]:
    written = [table for table in tables.TABLES if tables.exists(spark, settings, table)]
    contents = {table.name: tables.read(spark, settings, table).drop(*tables.DURATIONS) for table in written}
    kept = privacy.unsealed(tables.read(spark, settings, tables.VAULT), privacy.load_vault_key(settings))
    return {name: tables.content_hash(rows) for name, rows in {**contents, tables.VAULT.name: kept}.items()}


def is_hit(step: Step, ready: Path, folder: Path, landing: Path, moment: float) -> bool:
    """From the state before `step`, kill it after `moment` seconds, run it again, and what follows it; False where it had ended by then."""
    copy(ready, folder)
    tried = assignments(folder, landing)
    running = start(step.job, tried)
    try:
        code = running.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        code = running.wait()
    if code == 0:
        return False
    if code != -signal.SIGKILL:
        raise SystemExit(f"{step.label} failed undisturbed")
    for job in (step.job, *FOLLOWED.get(step.job, ())):
        finish(job, tried)
    return True


def copy(state: Path, folder: Path) -> None:
    if state.exists():
        shutil.copytree(state, folder)


def count_identical(step: Step, calm: Path, ready: Path, landing: Path, seconds: float, times: int, rng: random.Random) -> int:
    """Of `times` kills of `step` those that leave what is in `calm`, after it and what follows it. `ready`: the state before it."""
    root = ready.parent
    expected, tried = root / "expected", [root / f"tried-{number}" for number in range(times)]
    copy(calm, expected)
    for job in FOLLOWED.get(step.job, ()):
        finish(job, assignments(expected, landing))
    for number, folder in enumerate(tried):
        moment = rng.uniform(0.3, 1.0) * seconds  # the first third is the start of Java and Python
        while not is_hit(step, ready, folder, landing, moment):
            shutil.rmtree(folder, ignore_errors=True)
            moment = rng.uniform(0.3, 1.0) * seconds
        print(f"{step.label} {number + 1} of {times}: killed after {moment:.1f} s and run again", file=sys.stderr, flush=True)
    undisturbed, *found = hashes([expected, *tried], landing)
    for folder, one in zip(tried, found, strict=True):
        differ = sorted(name for name in undisturbed.keys() | one.keys() if undisturbed.get(name) != one.get(name))
        if differ:
            print(f"{step.label}, {folder.name}: other {', '.join(differ)}", file=sys.stderr)
    for folder in (expected, *tried):
        shutil.rmtree(folder, ignore_errors=True)
    return sum(one == undisturbed for one in found)


def main() -> None:
    steps = loop.plan(load(["ci"]))
    names = [step.label for step in steps if step.job != "simulate_shop"]  # what it writes is what the others read
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", action="append", choices=names, default=None)
    parser.add_argument("--times", type=int, default=20, help="kills per job")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    chosen = options.job or ["ingest_events", "clean_events"]
    rng = random.Random(options.seed)
    root = Path(tempfile.mkdtemp(prefix="promoloop-kill-"))
    landing, calm, ready = root / "landing", root / "calm", root / "ready"
    try:
        for step in steps[: 1 + max(number for number, step in enumerate(steps) if step.label in chosen)]:
            if step.label in chosen:
                copy(calm, ready)
            seconds = finish(step.job, assignments(calm, landing))
            if step.label in chosen:
                same = count_identical(step, calm, ready, landing, seconds, options.times, rng)
                figures.say("kill", "identical_after_kill", same, f"of {options.times}", step.label)
                shutil.rmtree(ready, ignore_errors=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
