"""What the loop issued, as the shop's users receive it: tables `offers` and `promotions` -> messages and promotions of a continuation."""

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from promoloop import privacy
from promoloop.errors import UserError
from promoloop.simulator import raw
from promoloop.simulator.law import CATEGORIES
from promoloop.simulator.promotions import Promotion
from promoloop.simulator.shop import files
from promoloop.simulator.world import World


def sent(offers: DataFrame) -> DataFrame:
    """The offers of a plan that reach their users."""
    return offers.where(F.col("is_sent") & F.col("promotion_id").isNotNull())


def fingerprint(sent_offers: DataFrame) -> str:
    """A text that is equal for equal offers; empty where there are none. Pseudonyms are left out: re-keying changes no offer."""
    told = F.xxhash64("offer_id", "promotion_id", "valid_from_at", "valid_until_at").cast("decimal(38,0)")
    row = sent_offers.agg(F.count(F.lit(1)).alias("rows"), F.sum(told).alias("hash")).first()
    return "" if row is None or row["rows"] == 0 else f"{row['rows']}:{row['hash']}"


def blocks(world: World, state: DataFrame, sent_offers: DataFrame, key: privacy.Key, first: int) -> DataFrame:
    """One row per block of users for a chapter that begins on day `first`: `block`, and `people` with their state and offers.

    `state` is truth_users as of that day. An offer counts on the whole days of its validity.
    """
    spark = state.sparkSession
    people = spark.range(0, world.users).withColumnRenamed("id", "user_number")
    people = people.withColumn("user_id", privacy.pseudonymise(raw.user_id(F.col("user_number")), key))
    offer = F.struct(
        "offer_id",
        "promotion_id",
        F.coalesce("channel", F.lit("email")).alias("channel"),
        F.greatest(F.ceil(_days("valid_from_at")), F.lit(first)).cast("int").alias("first"),
        F.floor(_days("valid_until_at")).cast("int").alias("until"),
    )
    received = sent_offers.groupBy("user_id").agg(F.collect_list(offer).alias("offers"))
    known = people.join(state.select("user_id", "since_order_days", "message_load"), "user_id").join(received, "user_id", "left")
    person = F.struct("user_number", "since_order_days", "message_load", "offers")
    block = F.floor(F.col("user_number") / world.law.block_users).alias("block")
    return known.groupBy(block).agg(F.collect_list(person).alias("people")).repartition(files(world), "block")


def promotions(table: DataFrame, world: World, first: int) -> tuple[Promotion, ...]:
    """The promotions that can be redeemed in the season from day `first`; the promotions table is small, they come to the driver."""
    lives = table.where((_days("starts_at") < first + world.season_days) & (_days("ends_at") > first)).orderBy("promotion_id")
    return tuple(_promotion(row, world) for row in lives.collect())


def _promotion(row: Row, world: World) -> Promotion:
    def number(name: str) -> float:
        return 0.0 if row[name] is None else float(row[name])

    categories = {name: place for place, name in enumerate(CATEGORIES)}
    brands = {f"brand{place:02d}": place for place in range(world.law.brands)}
    items = {f"I{place + 1:06d}": place for place in range(world.items)}
    for name, known in (("scope_category", categories), ("scope_brand", brands), ("gift_item_id", items)):
        if row[name] is not None and row[name] not in known:
            raise UserError(f"promotion {row['promotion_id']}: {name} {row[name]!r} is not one of the embedded shop's")
    return Promotion(
        promotion_id=row["promotion_id"],
        name=row["name"] or "",
        form=row["form"],
        starts=int(row["starts_at"].timestamp() // 86_400),
        ends=int(row["ends_at"].timestamp() // 86_400),
        category=None if row["scope_category"] is None else categories[row["scope_category"]],
        brand=None if row["scope_brand"] is None else brands[row["scope_brand"]],
        items=None if row["scope_item_ids"] is None else tuple(items[item] for item in row["scope_item_ids"] if item in items),
        threshold=number("threshold"),
        discount_rate=number("discount_rate"),
        discount_amount=number("discount_amount"),
        gift_item=None if row["gift_item_id"] is None else items[row["gift_item_id"]],
        gift_unit_cost=number("gift_unit_cost"),
        budget=number("budget"),
        inventory=row["inventory"],
    )


def _days(name: str) -> Column:
    return F.unix_micros(name) / F.lit(86_400e6)
