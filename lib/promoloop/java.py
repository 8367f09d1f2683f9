"""What Java needs of this machine, fetched and made once by `make setup`: jars, and an archive of classes read before.

The jars are Delta's two, and one of files of this machine by Java's own means: for the rights of every file that it writes, Hadoop else
starts a program (`chmod`), which for a small table takes as long as the writing.

The archive is Java's own (class data sharing: JEP 310 and 350): the classes of Spark, Delta and Scala as a Java in use has them, mapped
into the next one instead of being read, checked and laid out anew. A Java that did not make it, or finds other jars, passes it over.
"""

import shutil
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

from promoloop import home

DELTA_PACKAGE = "io.delta:delta-spark_4.1_2.13:4.4.0"
_FILES_PACKAGE = "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0"
FILES = "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"
_DELTA_JARS = tuple(f"{name}-{DELTA_PACKAGE.rpartition(':')[2]}.jar" for name in ("delta-spark_4.1_2.13", "delta-storage"))
_FILES_JAR = "{1}-{2}.jar".format(*_FILES_PACKAGE.split(":"))
_JARS = (*_DELTA_JARS, _FILES_JAR)
_LOCAL = (
    "-XX:+UseParallelGC",  # the collector of least work: all that runs is a tenth faster than by G1, on two cores
    "-XX:InitialRAMPercentage=10",  # what queries leave behind has room from the start: the heap would grow to it by full collections
    "-XX:MetaspaceSize=512m",  # it grows to that of a loop in steps, and each would begin with a full collection
    "-XX:ReservedCodeCacheSize=512m",  # room for what queries become once they are hot
    "-XX:SweeperThreshold=8",  # Java 17 would sweep it at every 3 MB
    "-XX:+IgnoreUnrecognizedVMOptions",  # Java 21 sweeps no more
    # of what a shop of thousands computes, little runs long enough to earn what the second compiler asks, on the cores that it needs: it is
    # called four times later, and puts less of other methods into each. It takes an eighth off single steps of the demo, and adds a few per
    # cent where there are millions of records
    "-XX:Tier4InvocationThreshold=20000",
    "-XX:Tier4MinInvocationThreshold=2400",
    "-XX:Tier4CompileThreshold=60000",
    "-XX:Tier4BackEdgeThreshold=160000",
    "-XX:MaxInlineLevel=9",
    "-XX:InlineSmallCode=1000",
    "-XX:FreqInlineSize=150",
)
# takes are small, and planned anew each time: the second compiler would be busy for minutes, on the cores that they need
_STREAM = "-XX:TieredStopAtLevel=1"
_QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")  # of an archive it does not fit Java would speak at every start


def jars_folder() -> Path:
    """Where `make setup` keeps the jars and the archive of classes."""
    return home.root() / ".jars"


def jars() -> list[Path]:
    """The jars of the versions we ask for that are kept; none unless both of Delta are."""
    kept = [name for name in _JARS if (jars_folder() / name).is_file()]
    return [jars_folder() / name for name in kept] if set(_DELTA_JARS) <= set(kept) else []


def sets_rights() -> bool:
    """Whether the jar of local files is kept: a checkout of before has it once `make setup` has run again."""
    return (jars_folder() / _FILES_JAR).is_file()


def archive() -> Path:
    """The archive of classes, whether it has been made or not."""
    return jars_folder() / "classes.jsa"


def options(is_stream: bool) -> list[str]:
    """Options of a Java in local mode, quoted as a shell would want them.

    `is_stream`: it is to answer soon, rather than to be fast at much data.
    """
    kept = [f'"-XX:SharedArchiveFile={archive()}"'] if archive().is_file() else []
    return [*_LOCAL, *([_STREAM] if is_stream else []), *_QUIET, *kept]


def fetch_jars() -> list[Path]:
    """Keep the jars of the versions we ask for in `jars_folder()`, and no others."""
    if len(jars()) < len(_JARS):
        _resolve()
    for jar in set(jars_folder().glob("*.jar")) - set(jars()):
        jar.unlink()
    return jars()


def _resolve() -> None:
    """Resolve the jars by their coordinates (Ivy, through Spark)."""
    with tempfile.TemporaryDirectory() as ivy:
        spark = (
            SparkSession.builder.master("local[1]")
            .config("spark.jars.packages", f"{DELTA_PACKAGE},{_FILES_PACKAGE}")
            .config("spark.jars.ivy", ivy)
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            .getOrCreate()
        )
        spark.stop()
        jars_folder().mkdir(parents=True, exist_ok=True)
        for name in _JARS:  # the kernel jars that come along serve catalogs alone
            partial = jars_folder() / f"{name}.part"
            (found,) = Path(ivy, "jars").glob(f"*_{name}")  # Spark puts the group before the name
            shutil.copyfile(found, partial)
            partial.rename(jars_folder() / name)


if __name__ == "__main__":
    print(f"jars: {', '.join(jar.name for jar in fetch_jars())}")
