"""One lazy Spark session for the whole run, and settings whose every place is a temporary folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from places import settings_in
from promoloop import session
from promoloop.settings import Settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with session.opened(settings_in(tmp_path_factory.mktemp("session"))) as opened:
        # whole stages are compiled as ever; the small projections around them, written anew in every task, are a tenth of the suite's time
        opened.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def settings_with(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with `section.key=value` assignments, all paths in this test's folder."""
    return lambda *assignments: settings_in(tmp_path, *assignments)
