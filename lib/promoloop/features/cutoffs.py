"""Several as_of days at once: every row of a day counts for each as_of after it, and for none before."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def add_as_of(by_day: DataFrame, days: Sequence[date], lookback_days: int) -> DataFrame:
    """Each row once per as_of day in `days` that it may be known on: occurred_on before as_of_on, by at most `lookback_days`.

    Adds as_of_on and `_age`, whole days from occurred_on to as_of_on (1 is the day before).
    """
    cutoffs = F.explode(F.array(*(F.lit(day).cast("date") for day in days)))
    return (
        by_day.withColumn("as_of_on", cutoffs)
        .withColumn("_age", F.datediff("as_of_on", "occurred_on"))
        .where((F.col("_age") >= 1) & (F.col("_age") <= lookback_days))
    )
