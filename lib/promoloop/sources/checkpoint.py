"""The folder in which Structured Streaming remembers what a query took, where that folder is on a disk of this machine."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession


def path_here(checkpoint: str) -> Path | None:
    """The folder of `checkpoint`; None where it is not on a file system of this machine."""
    if ":" not in checkpoint:
        return Path(checkpoint)
    return Path(url2pathname(urlsplit(checkpoint).path)) if checkpoint.startswith("file:") else None


def plan_anew(checkpoint: str) -> None:
    """Let the take that was planned and not finished be planned again, to hold what came since as well; elsewhere it is repeated as it was.

    Spark writes what a take covers (`offsets/N`) before it and that it is done (`commits/N`) after it, so that the same rows come again
    under the same number. Without the former it plans take N as if for the first time. No other process may follow the checkpoint.
    """
    folder = path_here(checkpoint)
    planned = max(_takes(folder / "offsets"), default=None) if folder is not None else None
    if folder is None or planned is None or planned in _takes(folder / "commits"):
        return
    for name in (f".{planned}.crc", str(planned)):  # first the sum, without which a file is read, too
        (folder / "offsets" / name).unlink(missing_ok=True)


def is_new(spark: SparkSession, checkpoint: str) -> bool:
    """Whether no take was ever planned by `checkpoint`."""
    folder, _, name = checkpoint.rpartition("/")
    return not taken_by(spark, folder, name)


def taken_by(spark: SparkSession, folder: str, name: str) -> list[str]:
    """Names of the checkpoints below `folder`, of those that the glob `name` matches, by which any take was planned."""
    exact = re.sub(r"([\[\]{}*?\\])", r"\\\1", folder)
    try:  # where Spark writes them, which need not be a disk of this machine
        planned = spark.read.text(f"{exact}/{name}/offsets").inputFiles()
    except AnalysisException:  # no such folder
        return []
    return sorted({unquote(path.split("/")[-3]) for path in planned})


def file_taken(spark: SparkSession, checkpoint: str) -> str | None:
    """The address of a file that a stream of files took; None where it took none, or follows a table."""
    folder, log = path_here(checkpoint), f"{checkpoint}/sources/0"
    if folder is not None:
        told = [line for file in sorted((folder / "sources" / "0").glob("[0-9]*"))[:1] for line in file.read_text().splitlines()]
    else:
        try:
            told = [row["value"] for row in spark.read.text(log).where("value LIKE '{%'").limit(1).collect()]
        except AnalysisException:
            told = []
    first = next((line for line in told if line.startswith("{")), None)  # after the version of the log
    return None if first is None else unquote(json.loads(first)["path"])


def _takes(log: Path) -> set[int]:
    return {int(entry.name) for entry in log.iterdir() if entry.name.isdigit()} if log.is_dir() else set()
