"""Raw records with the reasons they are at fault for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop import expectations, frames
from promoloop.events.facts import add_facts, add_identity, bot_days
from promoloop.expectations import Rule
from promoloop.settings.data import EventsSettings

_IS_BOT = "is_bot"
_FACTS = (
    T.StructType()
    .add("is_user_known", T.BooleanType())
    .add("is_item_known", T.BooleanType())
    .add("price_to_list", T.DoubleType())
    .add("quantity_to_limit", T.DoubleType())
    .add("seconds_ahead", T.LongType())
    .add("days_old", T.IntegerType())
    .add(_IS_BOT, T.BooleanType())
    .add("is_price_given", T.BooleanType())
)


def judged_schema(raw: T.StructType) -> T.StructType:
    """Columns the suite `events` speaks of: those of raw_events, and the facts."""
    return T.StructType([*raw.fields, *_FACTS.fields])


@dataclass(frozen=True)
class Judged:
    """Records with reasons (empty where sound), kept for what is asked of them next; and of the events accepted before those of days near
    theirs, all columns; None where none were ever accepted.
    """

    records: DataFrame
    history: DataFrame | None


def judge(
    received: DataFrame,
    known: DataFrame | None,
    users: DataFrame,
    items: DataFrame,
    rules: Sequence[Rule],
    settings: EventsSettings,
    is_price_given: bool = True,
    has_own_ids: bool = False,
) -> Judged:
    """Raw records with identity and reasons, computed now. Same rows.

    `known`: events accepted before, of which those of the days near are looked at; None: there are none. `is_price_given`: whether the
    source has prices at all; `has_own_ids`: ids of events, too. Who is a bot shows in all that a user did on a day, so the rules that speak
    of it are asked of what is kept.
    """
    last = [rule for rule in rules if _IS_BOT in rule.broken.lower()]
    asked_last = [name for name in _FACTS.fieldNames() if any(name in rule.broken.lower() for rule in last)]
    kept = frames.settle_many(
        add_facts(add_identity(received), users, items, settings)
        .withColumn("is_price_given", F.lit(is_price_given))
        .transform(expectations.add_reasons, [rule for rule in rules if rule not in last])
        .drop(*[name for name in _FACTS.fieldNames() if name not in asked_last])
    )
    history = of_days = None
    if known is not None:
        days = _days(kept)
        history = known.where(F.col("occurred_on").isin(_near(days, settings.days_near)))
        of_days = history.where(F.col("occurred_on").isin(days))
    bots = frames.settle_few(bot_days(kept, settings, of_days, has_own_ids).withColumn(_IS_BOT, F.lit(True)))
    judged = (
        kept.join(bots, "user_day", "left")
        .withColumn(_IS_BOT, F.coalesce(_IS_BOT, F.lit(False)))
        .transform(expectations.add_reasons, last)
        .drop(*asked_last, "user_day")
    )
    return Judged(judged, history)


def _days(records: DataFrame) -> list[date]:
    """Days of the sound ones of `records`."""
    return [row["occurred_on"] for row in records.where(F.size("reasons") == 0).select("occurred_on").distinct().collect()]


def _near(days: Collection[date], around: int) -> list[date]:
    """`days`, and as many as `around` on either side of each."""
    return sorted({day + timedelta(days=number) for day in days for number in range(-around, around + 1)})
