"""What holds for any DataFrame, whatever its rows are."""

from pyspark.sql import DataFrame


def settle(rows: DataFrame) -> DataFrame:
    """The same rows, computed now and with their history forgotten; freed once nobody refers to them.

    For what many queries start from. A cached frame drags its whole plan through the analysis of each of them, which for frames of features
    costs more than the queries themselves.
    """
    return rows.localCheckpoint()
