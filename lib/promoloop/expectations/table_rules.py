"""Rules over a handful of numbers about a table or batch, as their suite states them: one small query."""

from collections.abc import Mapping, Sequence

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from promoloop.expectations.judging import add_reasons
from promoloop.expectations.rules import load_rules, load_suite


def facts_schema(name: str) -> T.StructType:
    """The numbers that suite `name` speaks of."""
    columns = dict.fromkeys(_column_of(name).values())
    return T.StructType([T.StructField(column, T.DoubleType()) for column in columns])


def broken_rules(spark: SparkSession, name: str, facts: Sequence[Mapping[str, float | None]]) -> list[tuple[str, list[float]]]:
    """Rules of suite `name` that `facts` (one mapping a row) break, each with the values at fault. Null says nothing.

    Raises UserError naming a rule that cannot be evaluated.
    """
    if all(value is None for row in facts for value in row.values()):
        return []
    schema, column_of = facts_schema(name), _column_of(name)
    rows = spark.createDataFrame([tuple(row.get(column) for column in schema.names) for row in facts], schema)
    judged = add_reasons(rows, load_rules(spark, name, schema)).collect()
    values = {reason: [row[column] for row in judged if reason in row["reasons"]] for reason, column in column_of.items()}
    return [(reason, at_fault) for reason, at_fault in values.items() if at_fault]


def _column_of(name: str) -> dict[str, str]:
    """The column each rule is about, by the rule's reason."""
    return {rule["meta"]["reason"]: rule["kwargs"]["column"] for rule in load_suite(name)["expectations"]}
