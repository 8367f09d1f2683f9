"""The folder raw files arrive in: `<entity>/<batch>/*.json.gz`, and a manifest per batch, written last.

`held/<batch>` is what a batch keeps back for the next one.

A batch without its manifest is unfinished and is written again; one with it is never touched. On a local file system a
folder appears at once, by a rename; elsewhere Spark's own commit decides when its files appear.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

MANIFESTS = "manifests"
UNFINISHED = "_unfinished"


@dataclass(frozen=True)
class Manifest:
    """What a batch holds. Days are ISO dates; `dirt` is kind -> records, disposition, reason; counts are records of `events`."""

    batch: str
    first: str
    until: str
    shop: dict[str, int]  # the settings that fix the shop
    offers: str  # fingerprint of the offers the batch reacted to; empty: none
    rows: dict[str, int]
    dirt: dict[str, dict[str, int | str]]
    events_accepted: int
    events_rejected: int
    events_duplicate: int


def manifests(spark: SparkSession, landing: str) -> list[Manifest]:
    """The finished batches, oldest first."""
    try:
        texts = spark.read.text(f"{uri(landing)}/{MANIFESTS}/*.json", wholetext=True).collect()
    except AnalysisException:  # nothing has landed yet
        return []
    return sorted((Manifest(**json.loads(row["value"])) for row in texts), key=lambda manifest: manifest.first)


def finish(spark: SparkSession, landing: str, manifest: Manifest) -> None:
    """Write the manifest: from now on the batch is there."""
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True)
    folder = local(landing)
    if folder is None:
        lines = spark.createDataFrame([(json.dumps(asdict(manifest), sort_keys=True),)], "value string")
        lines.coalesce(1).write.mode("overwrite").text(f"{landing}/{MANIFESTS}/{manifest.batch}.json")
        return
    (folder / MANIFESTS).mkdir(parents=True, exist_ok=True)
    partial = folder / UNFINISHED / f"{manifest.batch}.json"
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text + "\n")
    partial.replace(folder / MANIFESTS / f"{manifest.batch}.json")
    shutil.rmtree(folder / UNFINISHED)


def put(lines: DataFrame, landing: str, entity: str, batch: str) -> None:
    """Write `lines` (one text column) as gzipped files of `entity` in `batch`, in place of what a killed run left."""
    folder = local(landing)
    if folder is None:
        lines.write.mode("overwrite").option("compression", "gzip").text(f"{landing}/{entity}/{batch}")
        return
    unfinished, final = folder / UNFINISHED / entity, folder / entity / batch
    lines.write.mode("overwrite").option("compression", "gzip").text(str(unfinished))
    for other in [*unfinished.glob(".*"), *unfinished.glob("_*")]:
        other.unlink()
    for number, part in enumerate(sorted(unfinished.glob("part-*.gz"))):
        part.rename(unfinished / f"{entity}-{number:05d}.json.gz")
    shutil.rmtree(final, ignore_errors=True)
    final.parent.mkdir(parents=True, exist_ok=True)
    unfinished.rename(final)


def held(spark: SparkSession, landing: str, batch: str) -> DataFrame:
    """Lines (`line`, `kind`) that `batch` held back for the next one."""
    return spark.read.json(f"{uri(landing)}/held/{batch}", schema="line string, kind string")


def uri(landing: str) -> str:
    """The folder as Spark is told of it."""
    folder = local(landing)
    return landing.rstrip("/") if folder is None else str(folder)


def local(landing: str) -> Path | None:
    """The folder as a path, or None where it is not on this machine's file system."""
    if landing.startswith("file:"):
        return Path(landing.removeprefix("file://").removeprefix("file:")).resolve()
    return None if ":" in landing else Path(landing).resolve()
