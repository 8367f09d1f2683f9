"""One Spark for the whole run, and settings whose every place is a temporary folder."""

import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from pyspark.sql import SparkSession

import behaviour_builder
import one_spark
import randomised_shop
from places import QUICK, made_once, settings_in
from promoloop import registry, session
from promoloop.cli import jobs
from promoloop.settings import Settings
from promoloop.tables import Table, store

_shared = pytest.StashKey[tuple[ExitStack, SparkSession]]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of pytest-xdist, where a worker begins, in the process that starts them: there the one Spark is opened that they all join."""
    if _shared not in node.config.stash:
        stack = ExitStack()
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        node.config.stash[_shared] = stack, stack.enter_context(session.opened(settings_in(place)))
    node.workerinput["door"] = one_spark.door(node.config.stash[_shared][1])


def pytest_unconfigure(config: pytest.Config) -> None:
    if _shared in config.stash:
        config.stash[_shared][0].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)  # files of long tests first: no core is to wait at the end for the last of them


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what was imported stays: it is no place to look for garbage, a dozen times


@pytest.fixture(scope="session")
def spark(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    door = getattr(request.config, "workerinput", {}).get("door")
    with ExitStack() as stack:
        place = settings_in(tmp_path_factory.mktemp("session"))
        opened = one_spark.joined(door) if door else stack.enter_context(session.opened(place))
        for name, value in QUICK.items():
            opened.conf.set(name, value)
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _laid_out_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of what is laid out empty the first is made, and the others are its copies: tables, and MLflow's stores, which take it seconds."""
    opened, lay_out = registry._client, store._lay_out
    empty, one = dict[str, Path | None](), Lock()

    def opened_as_copy(settings: Settings) -> Any:
        place = registry._store(settings)
        if place is not None and not place.is_file():
            registry.copy(made_once(tmp_path_factory, "store", lambda made: opened(made).search_registered_models()), settings)
        return opened(settings)

    def laid_out_as_copy(spark: SparkSession, settings: Settings, table: Table) -> None:
        place = store.path_of(settings, table)
        if place is None or place.exists():
            return lay_out(spark, settings, table)
        with one:  # threads of one job may begin the same table at once; an id of a table is that of all its copies
            if table.name not in empty:
                first = made_once(tmp_path_factory, f"empty-{table.name}", lambda made: lay_out(spark, made, table))
                empty[table.name] = store.path_of(first, table)
            if not place.exists():
                partial = place.with_name(f"{place.name}.part")
                shutil.copytree(empty[table.name], partial)
                partial.rename(place)
        return None

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(registry, "_client", opened_as_copy)
        patched.setattr(store, "_lay_out", laid_out_as_copy)
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def settings_with(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with `section.key=value` assignments, all paths in this test's folder."""
    return lambda *assignments: settings_in(tmp_path, *assignments)


@pytest.fixture(scope="session")
def profiled(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A busy shop of 240 users, with features, models and profiles by the jobs. Not to be written to: `places.copied` is for that."""

    def make(settings: Settings) -> None:
        behaviour_builder.store(behaviour_builder.busy_shop(spark), settings)
        for step in behaviour_builder.PROFILED_BY:
            jobs.load(step)(spark, settings)

    return made_once(tmp_path_factory, "profiled", make)


@pytest.fixture(scope="session")
def scored(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A randomised shop of 240 users, stored the day before its offers were scored. Not to be written to: `places.copied` is for that."""

    def make(settings: Settings) -> None:
        day_before = settings.run.model_copy(update={"as_of": randomised_shop.AS_OF - timedelta(days=1)})
        randomised_shop.store(randomised_shop.build(spark, users=240), settings.model_copy(update={"run": day_before}))
        jobs.load("score_offers")(spark, settings)

    return made_once(tmp_path_factory, "scored", make)
