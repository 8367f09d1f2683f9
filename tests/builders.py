"""Builders: a test states only what matters to it, the builder fills in the rest of a table's row."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from promoloop.tables import Table

_FILLERS: dict[type[T.DataType], Any] = {
    T.StringType: "x",
    T.BinaryType: b"x",
    T.IntegerType: 1,
    T.LongType: 1,
    T.DoubleType: 1.0,
    T.BooleanType: True,
    T.DateType: date(2026, 3, 2),
    T.TimestampType: datetime(2026, 3, 1, 12, tzinfo=UTC),
    T.DecimalType: Decimal("10.00"),
    T.ArrayType: ["x"],
    T.MapType: {},
}


def rows(spark: SparkSession, table: Table, *stated: dict[str, Any]) -> DataFrame:
    """One row of `table` per dict in `stated`; what a dict leaves out is filled in, or null where the table allows it."""
    unknown = {name for row in stated for name in row} - set(table.column_names)
    if unknown:
        raise ValueError(f"{table.name} has no column {sorted(unknown)}")
    fillers = {field.name: None if field.nullable else _FILLERS[type(field.dataType)] for field in table.schema}
    complete = [tuple({**fillers, **row}[name] for name in table.column_names) for row in stated]
    return spark.createDataFrame(complete, table.schema)
