"""What a Python worker of local Spark finds when its task begins."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession


def test_no_task_reads_the_directory_of_an_archive(spark: SparkSession) -> None:
    def places(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import sys
        import zipimport

        archives = [place for place, finder in sys.path_importer_cache.items() if isinstance(finder, zipimport.zipimporter)]
        list(batches)
        yield pa.record_batch([pa.array([sys.modules["pyspark"].__file__, *archives])], names=["place"])

    found = [row["place"] for row in spark.range(1).coalesce(1).mapInArrow(places, "place string").collect()]
    assert len(found) == 1, found
    assert found[0].endswith("pyspark/__init__.py")


def test_no_task_looks_for_garbage_among_what_was_imported_for_all(spark: SparkSession) -> None:
    def places(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import gc

        list(batches)
        yield pa.record_batch([pa.array([gc.get_freeze_count()])], names=["frozen"])

    (found,) = spark.range(1).coalesce(1).mapInArrow(places, "frozen bigint").collect()
    assert found["frozen"] > 50_000  # pandas, pyarrow and pyspark
