"""Settings of a run as a whole: its day, its seed, its places, and Spark in local mode."""

from datetime import date
from pathlib import Path

from pydantic import Field

from promoloop.settings.section import Section


class RunSettings(Section):
    """Which run this is. No room reads a clock or draws a seed of its own."""

    environment: str = Field(description="local, ci, cluster or databricks; default keys are for local and ci, on one machine, alone")
    as_of: date = Field(description="The day planned for; jobs use only what happened before it began (UTC)")
    seed: int = Field(ge=0, description="Seed of every draw of the run")

    @property
    def run_id(self) -> str:
        """Identifies the plan made on this day."""
        return f"plan-{self.as_of.isoformat()}"


class PathsSettings(Section):
    """Where things lie: URIs (`file:`, `s3a:`, `abfss:`), or plain paths taken from the current folder."""

    tables: str = Field(description="Root URI of the Delta tables, or `catalog.schema`")
    vault: str = Field(description="Root URI of the encrypted vault tables, apart from all others")
    landing: str = Field(description="Folder that raw files arrive in")
    checkpoints: str = Field(description="Folder of streaming checkpoints")
    models: str = Field(description="Folder of models and their registry, or URI of an MLflow server or of its database")
    out: str = Field(description="Folder of the channel files, which executors write, and of report, summary and logs")

    @property
    def out_folder(self) -> Path:
        """The output folder as a path, absolute."""
        return Path(self.out).resolve()


class SparkSettings(Section):
    """Used in local mode alone; elsewhere Spark's settings belong to spark-submit or the cluster."""

    master: str = Field(pattern=r"^local")
    driver_memory: str = Field(pattern=r"^\d+[mg]$")
    shuffle_partitions: int = Field(ge=1)
    java_options: str = Field(pattern=r"^(-(XX:|D)\S+ *)*$")
    """Of the JVM, beside those it gets anyway: -XX:… and -D…; its memory is `driver_memory`."""
