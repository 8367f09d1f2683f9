"""What was seen without comparing arms: redemptions, money conceded, expectations; and associations where nothing was drawn at random."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.evaluation.effects import Z
from promoloop.offers.log import is_within

_ROW = ("run_id", "metric", "scope", "method", "value", "low", "high", "count_treated", "count_control", "is_causal", "note")


def counts(scoped: DataFrame) -> DataFrame:
    """Evaluation rows of all sent decisions of `effects.per_scope`: redemption_rate (Wilson 1927 interval), spend, expected_profit."""
    sums = scoped.where("is_sent").groupBy("run_id", "scope").agg(
        F.count("*").alias("n"),
        F.sum(F.col("is_redeemed").cast("int")).alias("redeemed"),
        F.sum("own_concession").alias("spend"),
        F.sum("expected_value").alias("expected"),
    )  # fmt: skip
    n, rate = F.col("n"), F.col("redeemed") / F.col("n")
    centre, room = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n), Z * F.sqrt(rate * (1 - rate) / n + Z**2 / (4 * n * n)) / (1 + Z**2 / n)
    nothing = F.lit(None).cast("double")
    rate_row = _metric("redemption_rate", "observed", rate, centre - room, centre + room, "redeemed of sent: a share, not an effect")
    spend_row = _metric("spend", "observed", F.col("spend"), nothing, nothing, "conceded on the offers sent, money")
    expected_row = _metric("expected_profit", "expected", F.col("expected"), nothing, nothing, "sum of expected values at issue, money")
    rows = sums.select("run_id", "scope", "n", F.explode(F.array(rate_row, spend_row, expected_row)).alias("_m"))
    return rows.select("run_id", "scope", "_m.*", *_plain("n")).where("value is not null").select(*_ROW)


def associations(offers: DataFrame, log: DataFrame, users: DataFrame) -> DataFrame:
    """Evaluation rows `profit_change_gap` of runs without known propensities: never an effect.

    Change of profit per user, from as many days before the run's first offer to the days of its offers, of those who were sent one,
    less that of all other users (difference in differences). Who was targeted differs from who was not: an association.
    """
    runs = offers.groupBy("run_id").agg(F.min("valid_from_at").alias("_from"), F.max("valid_until_at").alias("_until"))
    length = F.unix_timestamp("_until") - F.unix_timestamp("_from")
    before = F.timestamp_seconds(F.unix_timestamp("_from") - length)
    sales = log.where(F.col("event_type").isin("purchase", "offer_redeem"))
    is_after = is_within(F.col("occurred_at"), F.col("_from"), F.col("_until"))
    signed = F.when(is_after, 1).otherwise(-1) * (F.col("margin") - F.col("concession"))
    changes = (
        sales.join(F.broadcast(runs), is_within(F.col("occurred_at"), before, F.col("_until")))
        .groupBy("run_id", "user_id")
        .agg(F.sum(signed).cast("double").alias("change"))
    )
    sent = offers.where("is_sent").select("run_id", "user_id").distinct().withColumn("_sent", F.lit(True))
    known = changes.join(sent, ["run_id", "user_id"], "full_outer").withColumns(
        {"change": F.coalesce("change", F.lit(0.0)), "_sent": F.coalesce("_sent", F.lit(False))}
    )
    y = F.col("change")
    sums = known.groupBy("run_id").agg(
        *(F.count(F.when(F.col("_sent") == side, 1)).alias(f"n{side:d}") for side in (True, False)),
        *(F.coalesce(F.sum(F.when(F.col("_sent") == side, y)), F.lit(0.0)).alias(f"y{side:d}") for side in (True, False)),
        *(F.coalesce(F.sum(F.when(F.col("_sent") == side, y * y)), F.lit(0.0)).alias(f"yy{side:d}") for side in (True, False)),
    )
    everyone = users.agg(F.count("*").alias("_everyone"))
    whole = sums.crossJoin(F.broadcast(everyone)).withColumn("n0", F.greatest(F.col("_everyone") - F.col("n1"), F.col("n0")))
    usable = whole.where("n1 > 1 and n0 > 1")
    gap = F.col("y1") / F.col("n1") - F.col("y0") / F.col("n0")
    error = F.sqrt(sum((F.greatest(_variance(side), F.lit(0.0)) for side in (0, 1)), F.lit(0.0)))
    note = "association, not an effect: targeted, not drawn at random"
    row = _metric("profit_change_gap", "observational", gap, gap - Z * error, gap + Z * error, note)
    found = usable.select("run_id", F.lit("all").alias("scope"), row.alias("_m"), "n1", "n0")
    return found.select("run_id", "scope", "_m.*", *_plain("n1", "n0")).select(*_ROW)


def truth(sent: DataFrame, truth_offers: DataFrame) -> DataFrame:
    """Evaluation rows `true_incremental_profit`: what the embedded shop knows the `sent` offers (scoped, as_of_on) to be worth."""
    known = sent.join(
        truth_offers.select("user_id", "promotion_id", "as_of_on", "expected_profit"), ["user_id", "promotion_id", "as_of_on"]
    )
    sums = known.groupBy("run_id", "scope").agg(F.sum("expected_profit").alias("true"), F.count("*").alias("n"))
    nothing = F.lit(None).cast("double")
    row = _metric("true_incremental_profit", "truth", F.col("true"), nothing, nothing, "what the simulator expects of the offers sent")
    return (
        sums.select("run_id", "scope", "n", row.alias("_m")).select("run_id", "scope", "_m.*", *_plain("n", is_causal=True)).select(*_ROW)
    )


def _metric(metric: str, method: str, value: Column, low: Column, high: Column, note: str) -> Column:
    return F.struct(
        F.lit(metric).alias("metric"),
        F.lit(method).alias("method"),
        value.alias("value"),
        low.alias("low"),
        high.alias("high"),
        F.lit(note).alias("note"),
    )


def _plain(treated: str, control: str | None = None, is_causal: bool = False) -> tuple[Column, ...]:
    held = F.col(control) if control else F.lit(None).cast("bigint")
    return (F.col(treated).alias("count_treated"), held.alias("count_control"), F.lit(is_causal).alias("is_causal"))


def _variance(side: int) -> Column:
    n, y, yy = F.col(f"n{side}"), F.col(f"y{side}"), F.col(f"yy{side}")
    return (yy - y * y / n) / (n - 1) / n
