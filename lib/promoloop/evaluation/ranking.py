"""Does a higher expected value mean a larger effect? Uplift by depth of the list, Qini, and calibration; from evaluation rows."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_STEP = 20


def add_top(subjects: DataFrame) -> DataFrame:
    """`subjects` and `top`: the share of its run's planned decisions (20, 40, ... 100 %) with at least its expected value.

    null where the run has no expectations. Quantiles are approximate (one in a thousand), so nothing is sorted as a whole.
    """
    shares = [1 - step / 100 for step in range(_STEP, 100, _STEP)]
    cuts = subjects.where("expected_value is not null").groupBy("run_id")
    bounds = cuts.agg(F.percentile_approx("expected_value", shares, 1000).alias("_cuts"))
    below = F.size(F.filter("_cuts", lambda cut: cut > F.col("expected_value")))
    top = F.when(F.col("expected_value").isNotNull(), (below + 1) * _STEP)
    return subjects.join(F.broadcast(bounds), "run_id", "left").withColumn("top", top).drop("_cuts")


def qini(rows: DataFrame) -> DataFrame:
    """Evaluation rows `qini` (doubly robust): profit per planned user gained by taking the best-ranked first, over taking any.

    Mean over depths d = 20, 40, ... 100 % of d * (effect of the top d - effect of all) (Radcliffe 2007, per user). No interval: the
    effects of nested depths are not independent; those of the single depths are in the rows top:PERCENT.
    """
    depths = rows.where("metric = 'incremental_profit_per_user' and method = 'doubly_robust'").withColumn(
        "_depth", F.when(F.col("scope") == "all", 100.0).otherwise(F.regexp_extract("scope", r"^top:(\d+)$", 1).try_cast("double"))
    )
    overall = depths.where("_depth = 100").select("run_id", F.col("value").alias("_all"), "count_treated", "count_control")
    parts = depths.where("_depth < 100").select("run_id", "_depth", F.col("value").alias("_top")).join(overall, "run_id")
    gain = F.col("_depth") / 100 * (F.col("_top") - F.col("_all"))
    return parts.groupBy("run_id", "count_treated", "count_control").agg((F.sum(gain) / (F.count("*") + 1)).alias("value")).select(
        *("run_id", F.lit("qini").alias("metric"), F.lit("all").alias("scope"), F.lit("doubly_robust").alias("method"), "value"),
        *(F.lit(None).cast("double").alias(name) for name in ("low", "high")),
        *("count_treated", "count_control", F.lit(True).alias("is_causal")),
        F.lit("profit per planned user of ranking by expected value, over no ranking").alias("note"),
    )  # fmt: skip


def ratios(rows: DataFrame) -> DataFrame:
    """Evaluation rows `roi` (incremental profit over spend) and `calibration` (measured over expected profit), from the others' rows.

    Intervals are those of the measured profit, over a spend and an expectation taken as given.
    """
    profit = rows.where("metric = 'incremental_profit' and method = 'doubly_robust'")
    over = {
        "spend": ("roi", "incremental profit per unit of money conceded"),
        "expected_profit": ("calibration", "measured over expected profit"),
    }
    metric, note = F.lit(None).cast("string"), F.lit(None).cast("string")
    for name, (ratio, words) in over.items():
        metric, note = F.when(F.col("_of") == name, ratio).otherwise(metric), F.when(F.col("_of") == name, words).otherwise(note)
    base = rows.where(F.col("metric").isin(*over) & (F.col("value") > 0))
    bases = base.select("run_id", "scope", F.col("metric").alias("_of"), F.col("value").alias("_base"))
    return profit.join(bases, ["run_id", "scope"]).select(
        *("run_id", metric.alias("metric"), "scope", "method"),
        *((F.col(name) / F.col("_base")).alias(name) for name in ("value", "low", "high")),
        *("count_treated", "count_control", "is_causal", note.alias("note")),
    )
