from pyspark.sql import SparkSession

from builders import rows
from promoloop import tables
from promoloop.settings import Settings
from promoloop.tables import ITEMS, commits


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
