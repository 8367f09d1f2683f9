from pathlib import Path

from pyspark.sql import SparkSession

from builders import rows
from places import settings_in
from promoloop import tables
from promoloop.settings import Settings
from promoloop.tables import ITEMS, commits, store


def test_the_log_on_disk_says_what_spark_says(spark: SparkSession, settings: Settings) -> None:
    name, path = tables.address(settings, ITEMS), tables.path_of(settings, ITEMS)
    assert commits.newest(spark, name, path) is commits.newest(spark, name, None) is None
    for stated in ([{"item_id": "i1"}], [{"item_id": "i1", "brand": "new"}, {"item_id": "i2"}]):  # an append, then a merge
        tables.merge(rows(spark, ITEMS, *stated), settings, ITEMS)
        found = commits.newest(spark, name, path)
        assert found == commits.newest(spark, name, None)
        assert found is not None
        assert found.rows_written == len(stated)
    tables.vacuum(spark, settings, ITEMS)
    assert commits.newest(spark, name, path) == commits.newest(spark, name, None)


def test_a_table_just_created_is_told_from_a_clone(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    name, path = tables.address(settings, ITEMS), tables.path_of(settings, ITEMS)
    made = store._begun(spark, settings, ITEMS)
    assert made == commits.newest(spark, name, path) == commits.newest(spark, name, None)
    assert made.is_creation
    tables.merge(rows(spark, ITEMS, {"item_id": "i1"}), settings, ITEMS)
    there = settings_in(tmp_path / "there")
    tables.clone_version(spark, settings, ITEMS, 1, there)
    tables.merge(rows(spark, ITEMS, {"item_id": "i1", "brand": "new"}), there, ITEMS)
    assert [row["brand"] for row in tables.read(spark, there, ITEMS).collect()] == ["new"]
