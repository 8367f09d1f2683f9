"""The log as offers see it: every event with what it earned, and every message sent, on one time line per user."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.frames import settle

MONEY = "decimal(18,2)"


@dataclass(frozen=True)
class Shop:
    """What is known of a shop at a moment: its tables of users, items and promotions, and its log (`known`) up to then."""

    users: DataFrame
    items: DataFrame
    promotions: DataFrame
    log: DataFrame


def known(events: DataFrame, items: DataFrame, offers: DataFrame, assumed_margin: float, until_at: Column | None = None) -> DataFrame:
    """One row per event and per message sent, before `until_at` where it is given; revenue, margin and concession are money.

    Settled, so this runs: scoring and evaluation read it ten times each.
    """
    is_known = F.lit(True) if until_at is None else F.col("occurred_at") < until_at
    return settle(_with_messages(_with_margin(events.where(is_known), items, assumed_margin), offers).where(is_known))


def _with_margin(events: DataFrame, items: DataFrame, assumed_margin: float) -> DataFrame:
    """Events with `revenue` (list price x quantity) and `margin` (revenue less unit costs), both money, 0 unless a purchase.

    An item whose unit cost is unknown is taken to earn `assumed_margin` of its price. A return counts negative.
    """
    known = items.select("item_id", F.col("price").alias("_list_price"), F.col("unit_cost").alias("_unit_cost"))
    price = F.coalesce("price", "_list_price", F.lit(0)).cast(MONEY)
    cost = F.coalesce(F.col("_unit_cost"), price * F.lit(round(1 - assumed_margin, 6))).cast(MONEY)
    quantity = F.coalesce("quantity", F.lit(1))
    is_purchase = F.col("event_type") == "purchase"
    return (
        events.join(known, "item_id", "left")
        .withColumn("revenue", F.when(is_purchase, price * quantity).otherwise(0).cast(MONEY))
        .withColumn("margin", F.when(is_purchase, (price - cost) * quantity).otherwise(0).cast(MONEY))
        .select(
            *("user_id", "event_type", "item_id", "promotion_id", "offer_id", "order_id", "occurred_at", "quantity"),
            *("revenue", "margin", F.coalesce("concession", F.lit(0)).cast(MONEY).alias("concession")),
        )
    )


def _with_messages(log: DataFrame, offers: DataFrame) -> DataFrame:
    """`log` and one row of event_type `message` for every offer that was sent, at the moment it became valid."""
    sent = offers.where("is_sent").select(
        "user_id", "promotion_id", "offer_id", F.lit("message").alias("event_type"), F.col("valid_from_at").alias("occurred_at")
    )
    return log.unionByName(sent, allowMissingColumns=True)


def is_within(occurred_at: Column, from_at: Column, until_at: Column) -> Column:
    """Whether a moment lies in [from_at, until_at)."""
    return (occurred_at >= from_at) & (occurred_at < until_at)
