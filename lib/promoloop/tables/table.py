"""What a table is."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from pyspark.sql import types as T

Writing = Literal["append once", "merge", "replace day", "replace run", "replace table"]


@dataclass(frozen=True)
class Column:
    """One column: name, Spark SQL type, meaning with unit, and whether it may be null."""

    name: str
    type: str
    meaning: str
    is_nullable: bool = True


@dataclass(frozen=True)
class Table:
    """One Delta table: grain in words, key columns, clustering columns, how it is written and by which job."""

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    writing: Writing
    written_by: str
    clustering: tuple[str, ...] = ()
    place: Literal["tables", "vault"] = "tables"  # the root it lies under: paths.tables or paths.vault

    @property
    def schema(self) -> T.StructType:
        """The Spark schema; key columns are never null."""
        return T.StructType([T.StructField(c.name, _type(c.type), self.is_nullable(c)) for c in self.columns])

    @property
    def column_names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    def is_nullable(self, column: Column) -> bool:
        """Whether `column` may hold null: never in the key."""
        return column.is_nullable and column.name not in self.key


def required(name: str, type: str, meaning: str) -> Column:
    """A column that is never null."""
    return Column(name, type, meaning, is_nullable=False)


@cache
def _type(ddl: str) -> T.DataType:
    """Parsed by the JVM, at some hundredths of a second a table: once is enough."""
    return T.DataType.fromDDL(ddl)
