"""Why a user gets a promotion, in the marketer's words."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def add_reasons(plan: DataFrame) -> DataFrame:
    """Add `reason`: value, what it costs at the prices of all that is scarce, and how far the runner-up is behind. Same rows."""
    charged = F.format_number(F.col("value") - F.col("reduced_value"), 2)
    against = F.coalesce(F.concat(F.lit("promotion "), F.col("runner_up_id")), F.lit("no offer"))
    ahead = F.concat(F.lit("ahead of "), against, F.lit(" by "), F.format_number(F.greatest("margin", F.lit(0.0)), 2))
    behind = F.concat(against, F.lit(" would leave "), F.format_number(-F.col("margin"), 2), F.lit(" more, but not all may have it"))
    text = F.concat(
        F.lit("worth "),
        F.format_number("value", 2),
        F.lit(", uses scarce budget and stock worth "),
        charged,
        F.lit("; "),
        F.when(F.col("margin") <= -0.005, behind).otherwise(ahead),
    )
    return plan.withColumn("reason", text)
