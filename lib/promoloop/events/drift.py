"""Is a batch like those before it: its volume, kinds of events, hours and prices, as numbers the suite `batches` judges.

Each batch keeps its metrics in table batches; the next ones are compared with their median (single numbers) or mean (shares). The
population stability index Σ (p - q) ln(p / q) of shares is the usual one: under 0.1 alike, over 0.25 another population.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from statistics import mean, median

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KINDS = ("view", "cart", "purchase", "review", "offer_view", "offer_redeem")
QUARTERS = ("night", "morning", "afternoon", "evening")
COMPARED = ("volume_to_usual", "price_to_usual", "kinds_shift", "hours_shift", "days_behind")
BEFORE = 100  # rows of table batches that a batch is compared with, the last by name
WHOLE_BATCH = 1_000  # accepted events, of the batch or of one before it: fewer say little of a distribution
_DAY = "events_of_a_day"
_FLOOR = 1e-3  # a share never seen counts as this much, so that a rare kind does not look like another population


def alike() -> list[Column]:
    """What records are told apart by for these metrics: columns _kind (null for any other than KINDS) and _quarter of the day."""
    kind = F.when(F.col("event_type").isin(*KINDS), F.col("event_type"))
    return [kind.alias("_kind"), F.floor(F.hour("occurred_at") / 6).alias("_quarter")]


def of_alike() -> list[Column]:
    """Aggregates over records that are `alike`, and of one verdict: their number, and that and the sum of logarithms of their prices."""
    logs = F.when(F.col("price") > 0, F.ln(F.col("price").cast("double")))
    return [F.count("*").alias("_rows"), F.count(logs).alias("_prices"), F.sum(logs).alias("_log_prices")]


def count_of(condition: Column) -> Column:
    """Aggregate over counts of records that are `alike`: the number of records for which `condition` holds."""
    return F.sum(F.when(condition, F.col("_rows")).otherwise(0))


def of_a_day() -> dict[str, Column]:
    """Aggregates over a day's counts with verdicts, by name: what `metrics` is made of."""
    is_accepted = F.col("verdict") == "accepted"
    return {
        "_accepted": count_of(is_accepted),
        **{name: F.sum(F.when(is_accepted, F.col(name))) for name in ("_log_prices", "_prices")},
        **{f"_{kind}": count_of(is_accepted & (F.col("_kind") == kind)) for kind in KINDS},
        **{f"_{name}": count_of(is_accepted & (F.col("_quarter") == number)) for number, name in enumerate(QUARTERS)},
    }


def metrics() -> Column:
    """Aggregate over a batch's days (`of_a_day`): map of its metrics, of the accepted records; those of none say nothing.

    Its events a day are those of the day that an event is of, on average: a few late ones of other days hardly change it.
    """
    accepted, squared = F.sum("_accepted"), F.sum(F.col("_accepted").cast("double") * F.col("_accepted"))
    named: dict[str, Column] = {
        _DAY: F.coalesce(F.try_divide(squared, accepted), F.lit(0.0)),
        "log_price": F.try_divide(F.sum("_log_prices"), F.sum("_prices")),
        **{f"share_{name}": F.try_divide(F.sum(f"_{name}"), accepted) for name in (*KINDS, *QUARTERS)},
    }
    entries = [F.struct(F.lit(name).alias("key"), F.round(value.cast("double"), 6).alias("value")) for name, value in named.items()]
    return F.map_from_entries(F.filter(F.array(*entries), lambda entry: entry["value"].isNotNull()))


def compare(now: Mapping[str, float], before: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """Columns of suite `batches` for one batch: how far its metrics are from those of the batches before it; null without any."""
    if not before:
        return dict.fromkeys(COMPARED)
    days = [metrics[_DAY] for metrics in before if _DAY in metrics]  # rows of before it was counted so say nothing of it
    prices = [metrics["log_price"] for metrics in before if "log_price" in metrics]
    usual_day = median(days) if days else 0.0
    volume = now[_DAY] / usual_day if usual_day and _DAY in now else None
    price = math.exp(now["log_price"] - median(prices)) if prices and "log_price" in now else None
    return dict(zip(COMPARED, (volume, price, _stability(now, before, KINDS), _stability(now, before, QUARTERS), None), strict=True))


def usual(before: DataFrame) -> DataFrame:
    """Of rows of batches the last BEFORE batches: metrics and rows_accepted of the largest take of each; key batch_id.

    Files that came late are takes of their own, and tell little of their batch.
    """
    largest = [F.max_by("metrics", "rows_accepted").alias("metrics"), F.max("rows_accepted").alias("rows_accepted")]
    of_batches = before.where((F.size("metrics") > 0) & (F.col("rows_accepted") > 0)).groupBy("batch_id").agg(*largest)
    return of_batches.orderBy(F.desc("batch_id")).limit(BEFORE)


def behind(newest: date, as_of: date) -> dict[str, float | None]:
    """Columns of suite `batches` for all events: how long before the day planned for the newest of them is; null what is of one batch."""
    return {**dict.fromkeys(COMPARED), "days_behind": float((as_of - newest).days)}


def _stability(now: Mapping[str, float], before: Sequence[Mapping[str, float]], names: Sequence[str]) -> float:
    total = 0.0
    for name in names:
        p = max(now.get(f"share_{name}", 0.0), _FLOOR)
        q = max(mean(metrics.get(f"share_{name}", 0.0) for metrics in before), _FLOOR)
        total += (p - q) * math.log(p / q)
    return total
