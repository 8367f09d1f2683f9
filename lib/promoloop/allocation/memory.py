"""What a killed solve left behind: the packed blocks' key, and how far the passes had come. One small Parquet file beside the blocks."""

import pickle
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from promoloop.allocation.scheme import Progress

_SCHEMA = T.StructType([T.StructField("key", T.StringType(), False), T.StructField("progress", T.BinaryType(), True)])


@dataclass(frozen=True)
class Memory:
    """Remembers under `folder` for the input named by `key`: any change of the input has another key, and starts anew."""

    spark: SparkSession
    folder: str
    key: str

    @property
    def has_blocks(self) -> bool:
        """Whether the blocks of this input were packed whole."""
        return self._row() is not None

    def forget(self) -> None:
        """Before blocks are written: what is there now belongs to nobody."""
        self._write("", None)

    def save(self, progress: Progress | None) -> None:
        """After blocks were written (None), and after every pass."""
        self._write(self.key, None if progress is None else pickle.dumps(progress))

    def load(self) -> Progress | None:
        """How far the passes over this input had come."""
        row = self._row()
        return None if row is None or row["progress"] is None else pickle.loads(bytes(row["progress"]))

    def _row(self) -> T.Row | None:
        try:
            row = self.spark.read.schema(_SCHEMA).parquet(self.folder).first()
        except AnalysisException:  # no such folder
            return None
        return row if row is not None and row["key"] == self.key else None

    def _write(self, key: str, progress: bytes | None) -> None:
        self.spark.createDataFrame([(key, progress)], _SCHEMA).coalesce(1).write.mode("overwrite").parquet(self.folder)
