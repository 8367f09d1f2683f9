"""Offer scores as the programme's value, cost and cell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from promoloop.settings.plan import AllocationSettings

USER_KINDS = ("segment", "region", "channel")


def kinds_used(own: AllocationSettings) -> tuple[str, ...]:
    """What of users the settings' limits look at: a cell is a combination of these."""
    return tuple(kind for kind in USER_KINDS if any(limit.by == kind for limit in own.limits))


def valued(scores: DataFrame, own: AllocationSettings) -> DataFrame:
    """user_id, promotion_id, value (`worth`), cost and `kinds_used`; same grain as `scores`."""
    return scores.select("user_id", "promotion_id", worth(own).alias("value"), F.col("expected_cost").alias("cost"), *kinds_used(own))


def worth(own: AllocationSettings, of: Callable[[str], Any] = F.col) -> Any:
    """What an offer is worth to the programme, of a row of offer_scores: a column, or a number where `of` gives numbers.

    w_profit (expected_profit - caution * profit_deviation) + w_revenue expected_revenue + w_satisfaction satisfaction.
    """
    profit = of("expected_profit") - own.caution * of("profit_deviation")
    weighed = own.weight_profit * profit
    if own.weight_revenue:  # a weight of 0 leaves the column unread
        weighed = weighed + own.weight_revenue * of("expected_revenue")
    if own.weight_satisfaction:
        weighed = weighed + own.weight_satisfaction * of("satisfaction")
    return weighed


def add_cells(values: DataFrame, cells: Sequence[Row]) -> DataFrame:
    """Add `cell`, the number of the user's kind in `cells` (rows of distinct kinds); 0 where nobody asks. Same rows."""
    if not cells:
        return values.withColumn("cell", F.lit(0))
    kinds = list(cells[0].asDict())
    schema = "cell int, " + ", ".join(f"_{kind} string" for kind in kinds)
    known = values.sparkSession.createDataFrame([(number, *cell) for number, cell in enumerate(cells)], schema)
    same = [values[kind].eqNullSafe(known[f"_{kind}"]) for kind in kinds]
    return values.join(F.broadcast(known), same).drop(*(f"_{kind}" for kind in kinds))


@dataclass(frozen=True)
class Offered:
    """What there is to plan: promotions with a score, kinds of users, and about how many users."""

    promotion_ids: list[str]
    cells: list[Row]
    users: int


def has_disparity(own: AllocationSettings) -> bool:
    """Whether a limit compares groups of users."""
    return any(limit.disparity is not None for limit in own.limits)


def offered(values: DataFrame, own: AllocationSettings) -> Offered:
    """One scan over `values`; the count of users is approximate, and the same each time."""
    kinds = kinds_used(own)
    found = values.agg(
        F.sort_array(F.collect_set("promotion_id")),
        F.collect_set(F.struct(*kinds)) if kinds else F.array(),
        F.approx_count_distinct("user_id", 0.02),
    ).first()
    promotion_ids, cells, users = found if found is not None else ([], [], 0)
    return Offered(promotion_ids, sorted(cells, key=lambda cell: [str(part) for part in cell]), users)
