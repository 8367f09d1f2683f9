"""What Java is started with, and that it takes its classes from the archive `make setup` made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from promoloop import java

_OPEN = """
from promoloop import java, session
from promoloop.settings import load
with session.opened(load(["ci"])) as spark:
    beans = spark.sparkContext._jvm.java.lang.management.ManagementFactory
    print([option for option in beans.getRuntimeMXBean().getInputArguments() if "SharedArchiveFile" in option])
    print(spark.range(3).count(), "rows")
"""


def test_an_archive_is_named_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(java, "jars_folder", lambda: tmp_path / "with blanks")
    assert not [option for option in java.options(is_stream=False) if "SharedArchiveFile" in option]
    (tmp_path / "with blanks").mkdir()
    java.archive().touch()
    assert f'"-XX:SharedArchiveFile={tmp_path}/with blanks/classes.jsa"' in java.options(is_stream=False)


def test_only_a_stream_does_without_the_second_compiler() -> None:
    assert "-XX:TieredStopAtLevel=1" in java.options(is_stream=True)
    assert "-XX:TieredStopAtLevel=1" not in java.options(is_stream=False)


def test_jars_of_another_version_are_not_taken_and_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(java, "jars_folder", lambda: tmp_path)
    version = java.DELTA_PACKAGE.rpartition(":")[2]
    *delta, files = java._JARS
    assert f"delta-spark_4.1_2.13-{version}.jar" in delta
    for name in ("delta-spark_4.1_2.13-0.1.jar", "delta-storage-0.1.jar", delta[0], files):
        (tmp_path / name).touch()
    assert java.jars() == []
    (tmp_path / files).rename(tmp_path / delta[1])
    assert [jar.name for jar in java.jars()] == delta, "as a checkout of before has them"
    assert not java.sets_rights()
    (tmp_path / files).touch()
    assert java.sets_rights()
    java.archive().touch()
    assert java.fetch_jars() == java.jars()
    assert {file.name for file in tmp_path.iterdir()} == {*(jar.name for jar in java.jars()), "classes.jsa"}
    assert len(java.jars()) == 3


def opened(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A session of its own, opened in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", _OPEN], capture_output=True, text=True, cwd=folder, env={**os.environ, **environment}, timeout=300
    )


@pytest.mark.slow
def test_java_takes_its_classes_from_the_archive(tmp_path: Path) -> None:
    if not java.archive().is_file():
        pytest.skip("this Java made no archive")
    strict = opened(tmp_path, JAVA_TOOL_OPTIONS="-Xshare:on")  # or it would pass over one that does not fit
    assert "3 rows" in strict.stdout, f"`bash scripts/setup.sh` makes it anew where Java has changed: {strict.stderr[-1000:]}"
    assert f"-XX:SharedArchiveFile={java.archive()}" in strict.stdout


@pytest.mark.slow
def test_an_archive_that_does_not_fit_is_passed_over_in_silence(tmp_path: Path) -> None:
    if not java.archive().is_file():
        pytest.skip("this Java made no archive")
    elsewhere = tmp_path / ".jars"  # another class path than the one the archive was made with
    elsewhere.mkdir()
    for file in (*java.jars(), java.archive()):
        (elsewhere / file.name).symlink_to(file)
    (tmp_path / "sitecustomize.py").write_text(
        f"from pathlib import Path\nfrom promoloop import java\njava.jars_folder = lambda: Path({str(elsewhere)!r})\n"
    )
    found = opened(tmp_path, PYTHONPATH=str(tmp_path))
    assert found.stdout == f"['-XX:SharedArchiveFile={elsewhere}/classes.jsa']\n3 rows\n", found.stderr[-1000:]
    assert "archive" not in found.stderr
    assert "shared class paths mismatch" not in found.stderr


def test_the_rights_of_a_file_are_set_without_a_program(spark: SparkSession, tmp_path: Path) -> None:
    if not java.sets_rights():
        pytest.skip("the jar is not kept here")
    context = spark.sparkContext
    place = context._jvm.org.apache.hadoop.fs.Path(tmp_path.as_uri())  # type: ignore[union-attr]
    files = place.getFileSystem(context._jsc.hadoopConfiguration())
    assert files.getClass().getName() == java.FILES
    spark.range(1).coalesce(1).write.parquet(str(tmp_path / "written"))
    written = next((tmp_path / "written").glob("part-*.parquet"))
    assert written.stat().st_mode & 0o777 == 0o644
