"""Raw records with the reasons they are at fault for."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop import expectations
from promoloop.events.facts import add_facts, add_identity, bot_days
from promoloop.expectations import Rule
from promoloop.settings.data import EventsSettings

_FACTS = (
    T.StructType()
    .add("is_user_known", T.BooleanType())
    .add("is_item_known", T.BooleanType())
    .add("price_to_list", T.DoubleType())
    .add("quantity_to_limit", T.DoubleType())
    .add("seconds_ahead", T.LongType())
    .add("days_old", T.IntegerType())
    .add("is_bot", T.BooleanType())
    .add("is_price_given", T.BooleanType())
)


def judged_schema(raw: T.StructType) -> T.StructType:
    """Columns the suite `events` speaks of: those of raw_events, and the facts."""
    return T.StructType([*raw.fields, *_FACTS.fields])


def judge(
    received: DataFrame, users: DataFrame, items: DataFrame, rules: Sequence[Rule], settings: EventsSettings, is_price_given: bool = True
) -> DataFrame:
    """Raw records with identity, facts and reasons (empty where sound). Same rows.

    `is_price_given`: whether the source has prices at all.
    """
    identified = add_identity(received)
    bots = bot_days(identified, settings).withColumn("_bot", F.lit(True))
    return (
        add_facts(identified, users, items, settings)
        .join(F.broadcast(bots), "user_day", "left")
        .withColumn("is_bot", F.coalesce("_bot", F.lit(False)))
        .withColumn("is_price_given", F.lit(is_price_given))
        .drop("_bot")
        .transform(expectations.add_reasons, rules)
        .drop(*_FACTS.fieldNames(), "user_day")
    )
