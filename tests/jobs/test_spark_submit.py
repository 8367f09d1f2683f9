"""The same job files on a cluster: real spark-submit, executors that are processes of their own, the library from the zip alone."""

import os
import re
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

import pyspark
import pytest
import shop_files
from pyspark.sql import SparkSession

from promoloop import home, java, tables
from promoloop.settings import Settings

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

# every Python that starts with it forgets where the checkout's library is, and leaves word of how it was started
_FORGET = """
import sys
sys.path[:] = [place for place in sys.path if place != {lib!r}]
with open({word!r}, "a") as word:
    word.write(" ".join(sys.orig_argv) + "\\n")
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip as `make zip` builds it."""
    target = tmp_path_factory.mktemp("dist") / "promoloop.zip"
    subprocess.run([sys.executable, home.root() / "scripts" / "build_zip.py", target], check=True, capture_output=True)
    with zipfile.ZipFile(target) as packed:
        jobs = {Path(name).name for name in packed.namelist() if name.startswith("promoloop/_home/jobs/")}
    assert jobs == {job.name for job in (home.root() / "jobs").glob("*.py")}
    return target


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """A file with a line for every Python that was started where `forgetful` is its environment."""
    return tmp_path / "started"


@pytest.fixture
def forgetful(started: Path, tmp_path: Path) -> dict[str, str]:
    """An environment whose Pythons have no library but that of the zip."""
    (tmp_path / "forgetful").mkdir()
    (tmp_path / "forgetful" / "sitecustomize.py").write_text(_FORGET.format(lib=str(home.root() / "lib"), word=str(started)))
    return {"PYTHONPATH": str(tmp_path / "forgetful")}


def submit(package: Path, job: Path, folder: Path, forgetful: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """`spark-submit` as docs/cluster.md has it, on two executor processes, started in an empty folder."""
    spark_home = Path(pyspark.__file__).parent
    jars = ",".join(str(jar) for jar in java.jars())
    quick = f"-XX:TieredStopAtLevel=1 -XX:SharedArchiveFile={java.archive()} -Xlog:cds=off -Xlog:cds+dynamic=off"
    local = (
        "spark.driver.bindAddress=127.0.0.1",
        "spark.driver.host=127.0.0.1",
        "spark.ui.enabled=false",
        "spark.sql.shuffle.partitions=2",
        "spark.databricks.delta.snapshotPartitions=2",  # else 50 tasks for every look into the log of every table, for a few rows
        # three Javas that live for a minute, on the cores of all tests: the first compiler alone, and classes from the archive
        *(f"spark.{role}.extraJavaOptions={quick}" for role in ("driver", "executor")),
        *(f"spark.{role}.extraClassPath={os.pathsep.join(map(str, java.jars()))}" for role in ("driver", "executor")),
    )
    command = [
        *(str(spark_home / "bin" / "spark-submit"), "--master", "local-cluster[2,1,1500]", "--driver-memory", "1500m"),
        *("--executor-memory", "1500m", "--jars", jars, "--py-files", str(package)),
        *(word for setting in local for word in ("--conf", setting)),
        *(str(job), "--config", "ci", *options),
    ]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_", "SPARK_", "PYTHONPATH"))}
    spark = {"SPARK_HOME": str(spark_home), "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    environment = own | forgetful | spark
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=400, check=False)


def places(settings: Settings) -> list[str]:
    return [word for name, value in settings.paths.model_dump().items() for word in ("--set", f"paths.{name}={value}")]


def test_a_users_error_is_one_line_and_exit_code_2(package: Path, forgetful: dict[str, str], tmp_path: Path) -> None:
    done = submit(package, Path(str(home.folder("jobs") / "ingest_events.py")), tmp_path, forgetful, "--set", "events.max_rejectd_share=1")
    assert done.returncode == 2
    errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error:")]  # Spark merges the two
    assert errors == ["error: setting events.max_rejectd_share: is not a known setting (got 1)"]
    assert "Traceback" not in done.stdout + done.stderr


def test_a_job_submitted_to_executors_writes_what_it_writes_here(
    package: Path, settings: Settings, spark: SparkSession, forgetful: dict[str, str], started: Path, tmp_path: Path
) -> None:
    environment = os.environ | forgetful
    alone = subprocess.run([sys.executable, "-c", "import promoloop.launch"], env=environment, capture_output=True, text=True, check=False)
    assert "No module named 'promoloop" in alone.stderr  # so what works below works by the zip: library and configuration
    shop_files.write_shop(Path(settings.paths.landing))
    shop_files.write(Path(settings.paths.landing), "events", {"event_id": "e1"}, {"event_id": "e2", "price": "ten"})
    done = submit(package, Path(str(home.folder("jobs") / "ingest_events.py")), tmp_path, forgetful, *places(settings))
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "pyspark.daemon" in started.read_text()  # on the executors, too
    assert "Outcome(" in done.stdout
    events = {row.event_id: row for row in tables.read(spark, settings, tables.RAW_EVENTS).collect()}
    assert (events["e1"].price, events["e2"].price) == (Decimal("10.00"), None)
    assert "ten" in events["e2"]["_rescued"]
    known = {row.user_id for row in tables.read(spark, settings, tables.USERS).collect()}
    assert len(known) == 3
    assert events["e1"].user_id in known
    assert all(re.fullmatch("[0-9a-f]{64}", user) for user in known)  # by the key that the driver alone has read
