"""Rules over a handful of numbers about a table or batch, as their suite states them: one small query."""

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from promoloop.expectations.judging import add_reasons
from promoloop.expectations.rules import load_rules


def facts_schema(names: Iterable[str]) -> T.StructType:
    """Columns of numbers by those names."""
    return T.StructType([T.StructField(name, T.DoubleType()) for name in names])


def broken_rules(spark: SparkSession, name: str, facts: Sequence[Mapping[str, float | None]]) -> list[list[str]]:
    """For each of `facts` (mappings of the same names) the reasons of suite `name` that it breaks. Null says nothing.

    Raises UserError naming a rule that cannot be evaluated, such as one about a number that `facts` do not have.
    """
    if all(value is None for row in facts for value in row.values()):
        return [[] for _ in facts]
    schema = facts_schema(facts[0])
    rules = load_rules(spark, name, schema)
    numbers = [tuple(None if row[column] is None else float(row[column]) for column in schema.names) for row in facts]  # type: ignore[arg-type]
    found = [set(row["reasons"]) for row in add_reasons(spark.createDataFrame(numbers, schema), rules).collect()]
    return [[rule.reason for rule in rules if rule.reason in reasons] for reasons in found]
