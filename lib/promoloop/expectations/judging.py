"""Judge rows by rules: every row with all its reasons, and the gate over a batch's counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.errors import UserError
from promoloop.expectations.rules import Rule

_A_FEW = 10


def add_reasons(rows: DataFrame, rules: Sequence[Rule], further: Column | None = None) -> DataFrame:
    """Add `reasons` (array<string>, sorted, empty on a sound row): every rule the row breaks, beside those it has already. Same rows.

    `further`: an array of reasons that no suite can state; they come last.
    """
    faults = [F.coalesce(F.expr(rule.broken), F.lit(False)) for rule in rules]
    named = F.array_compact(F.array(*(F.when(fault, F.lit(rule.reason)) for fault, rule in zip(faults, rules, strict=True))))
    is_sound = ~reduce(Column.__or__, faults, F.lit(False))  # nearly every row is: it is spared the making and sorting of a list
    known = F.col("reasons") if "reasons" in rows.columns else F.array().cast("array<string>")
    reasons = F.when(is_sound, known).otherwise(F.sort_array(F.concat(known, named)))
    return rows.withColumn("reasons", reasons if further is None else F.array_union(reasons, further))


def worst(reasons: Mapping[str, int], rules: Sequence[Rule]) -> str:
    """The reason to name: that of a critical rule if one was broken, else the one with most rows."""
    critical = [rule.reason for rule in rules if rule.is_critical and reasons.get(rule.reason)]
    return critical[0] if critical else max(sorted(reasons), key=lambda reason: reasons[reason])


def is_too_many(received: int, rejected: int, reasons: Mapping[str, int], max_share: float, rules: Sequence[Rule]) -> bool:
    """Whether a run must stop: more than `max_share` of the rows rejected, or a critical rule broken by any."""
    return rejected > max_share * received or any(reasons.get(rule.reason) for rule in rules if rule.is_critical)


def stopped(name: str, counts: Mapping[str, Any], max_share: float, reason: str, examples: Sequence[str], advice: str = "") -> UserError:
    """The error that stops a run: it names the batch, the rule, its rows, and examples, and says what may be done."""
    received, rejected = counts["rows_received"], counts["rows_rejected"]
    return UserError(
        f"{name}: {rejected} of {received} rows rejected ({rejected / max(received, 1):.1%}, events.max_rejected_share is "
        f"{max_share:.1%}); rule '{reason}' broke on {counts['reasons'][reason]} rows, such as {'; '.join(examples)}"
        f"{advice and '; '}{advice}"
    )


def gate(judged: DataFrame, name: str, rules: Sequence[Rule], max_share: float) -> int:
    """How many of `judged` (with reasons, source_file, row_number) are rejected. Raises UserError where those are too many.

    A few are never too many: of three promotions one that contradicts another is put aside, and does not stop the other two.
    """
    counted = judged.groupBy("reasons").agg(F.count("*").alias("rows")).collect()
    reasons: Counter[str] = Counter()
    for row in counted:
        reasons.update(dict.fromkeys(row["reasons"], row["rows"]))
    received: int = sum(row["rows"] for row in counted)
    rejected: int = sum(row["rows"] for row in counted if row["reasons"])
    is_critical = is_too_many(received, 0, reasons, 1.0, rules)
    if is_critical or (rejected > _A_FEW and is_too_many(received, rejected, reasons, max_share, rules)):
        reason = worst(reasons, rules)
        broken = judged.where(F.array_contains("reasons", reason)).orderBy("source_file", "row_number").limit(3)
        places = [f"{row['source_file']} row {row['row_number']}" for row in broken.collect()]  # and not what they say of a person
        counts = {"rows_received": received, "rows_rejected": rejected, "reasons": reasons}
        raise stopped(f"new records of {name}", counts, max_share, reason, places)
    return rejected
