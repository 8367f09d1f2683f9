"""The Spark session: made here in local mode, taken as given everywhere else."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from promoloop import java
from promoloop.settings import Settings

_CHECKPOINTS = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
_ZONE = "spark.sql.session.timeZone"
_Options = dict[str, bool | float | int | str | None]
# what PySpark asks Java for, by these names, with nearly every expression: each time Java would look in hundreds of archives for a class
# of that name, in all packages that it might be of
_ASKED = ("org.apache.spark.sql.functions", "functions", "PythonUtils", "PythonSQLUtils", "org", "py4j")
_EVERYWHERE: _Options = {  # where a session is made by us, here or in spark-submit
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    _ZONE: "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # every call that builds an expression would tell Java its line of Python: three quarters of the call, for the text of an error
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.sql.dataFrameQueryContext.enabled": "false",
    # the default is twelve bytes of an outdated kind: slower to write and read, and no rows can be passed over by their times
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}


@contextmanager
def opened(settings: Settings, is_stream: bool = False) -> Iterator[SparkSession]:
    """Yield the active session, that of spark-submit, or a new local one; stop it at the end only if it was made here.

    `is_stream`: a new local one is to answer soon, rather than to be fast at much data. Days are those of UTC, also in a session that is
    there already, until the end.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        with options(active, {_ZONE: "UTC"}):
            yield active
        return
    spark = _submitted() if "PYSPARK_GATEWAY_PORT" in os.environ else _local(settings, is_stream)
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def options(spark: SparkSession, chosen: Mapping[str, str]) -> Iterator[None]:
    """Options of the session as `chosen` until the end, and then as they were."""
    usual = {name: spark.conf.get(name, None) for name in chosen}
    try:
        for name, value in chosen.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, was in usual.items():
            if was is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, was)


def remember_names(spark: SparkSession) -> None:
    """Have this process ask Java once, not each time, for what PySpark's expressions are made by."""
    java_names = spark.sparkContext._jvm
    for name in _ASKED:
        setattr(java_names, name, getattr(java_names, name))


def processes(spark: SparkSession) -> list[int]:
    """Numbers of this process and of the Java process that works for it, where that is one of this machine."""
    beside = [] if is_remote() else [int(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())]  # type: ignore[union-attr]
    return [os.getpid(), *beside]


def _submitted() -> SparkSession:
    return SparkSession.builder.appName("promoloop").config(map=_EVERYWHERE).getOrCreate()


def _local(settings: Settings, is_stream: bool) -> SparkSession:
    os.environ["PYSPARK_PYTHON"] = sys.executable  # workers must run this python, or every Arrow function fails
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    options: _Options = {
        **_EVERYWHERE,
        **_jars(settings),
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
        "spark.databricks.delta.snapshotPartitions": "2",
        # what is known of a table's log is megabytes of plans, kept for an hour: for the tables of a loop, not for all a session ever saw
        "spark.databricks.delta.delta.log.cacheSize": "100",
        # the default manager asks `readlink`, a process of its own, a dozen times for every file of a stream's checkpoint
        "spark.sql.streaming.checkpointFileManagerClass": _CHECKPOINTS,
        "spark.python.daemon.module": "promoloop.workers",
        "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / "promoloop-warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.buffer.pageSize": "2m",  # else 64 MB for every sort and aggregate of every small task: hundreds of full collections
        "spark.sql.inMemoryColumnarStorage.compressed": "false",  # what is kept is read a few times: packing costs more than it saves
        # takes that cleaning kept on disk are freed by then; the default, half an hour, is a backlog of many
        "spark.cleaner.periodicGC.interval": "5min",
        # the same query is compiled once a session, not anew each time a hundred others came between (the default keeps 100 classes)
        "spark.sql.codegen.cache.maxEntries": "2000",
        "spark.driver.extraJavaOptions": " ".join([*java.options(is_stream), settings.spark.java_options]),
        # a broadcast, of which every stage has one, begins with a block of this size: the default is 4 MB, which G1, where it is chosen,
        # answers with a collection of its own
        "spark.broadcast.blockSize": "256k",
        # plans of models are megabytes of text, written anew at every stage of every query, and kept for a page nobody opens
        "spark.sql.maxPlanStringLength": "4000",
        "spark.sql.ui.retainedExecutions": "20",
        "spark.ui.retainedJobs": "50",
        "spark.ui.retainedStages": "50",
        "spark.ui.retainedTasks": "500",
        **(_few_rows(settings) if is_stream else {}),
    }
    spark = SparkSession.builder.master(settings.spark.master).appName("promoloop").config(map=options).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    remember_names(spark)
    return spark


def _jars(settings: Settings) -> _Options:
    """On the path that Java starts with, so that its archive of classes holds them too; executors of their own are sent them."""
    kept = [str(jar) for jar in java.jars()]
    if not kept:
        return {"spark.jars.packages": java.DELTA_PACKAGE}
    if settings.spark.master.startswith("local-cluster") or any(os.pathsep in jar for jar in kept):
        return {"spark.jars": ",".join(kept)}
    files: _Options = {"spark.hadoop.fs.file.impl": java.FILES} if java.sets_rights() else {}
    return {"spark.driver.extraClassPath": os.pathsep.join(kept), **files}


def _few_rows(settings: Settings) -> dict[str, str]:
    """A take's plan is made once and not again after each stage, which took a tenth of it; so no more partitions than cores."""
    partitions = min(settings.spark.shuffle_partitions, os.cpu_count() or 1)
    return {"spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": str(partitions)}
