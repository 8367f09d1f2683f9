"""The shop's other exports: users with direct identifiers, items, promotions, past offers. All columns as raw JSON fields."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.simulator import past, people
from promoloop.simulator.law import CATEGORIES, CHANNELS, GENDERS, OCCUPATIONS, REGIONS
from promoloop.simulator.promotions import Promotion
from promoloop.simulator.raw import item_id, user_id
from promoloop.simulator.shop import files, per_block
from promoloop.simulator.world import World, day_of, iso

FIRST_NAMES = ("Ada", "Ben", "Chen", "Dina", "Emil", "Fatou", "Gita", "Hugo", "Ines", "Jan", "Kofi", "Lea", "Mara", "Nils", "Olga", "Paul")
LAST_NAMES = ("Abel", "Brook", "Costa", "Duran", "Evans", "Fuchs", "Garcia", "Haas", "Ito", "Jansen", "Klein", "Lopez", "Meyer", "Novak")


def users(spark: SparkSession, world: World) -> DataFrame:
    """One row per account, people and machines alike, as the shop knows them."""
    block_users = world.law.block_users
    everyone = world.users + world.bots

    def known(row: dict[str, Any]) -> pa.RecordBatch:
        first = row["block"] * block_users
        numbers = np.arange(first, min(first + block_users, everyone))
        who = people.demographics(world.seed, numbers, world.days)
        return pa.RecordBatch.from_pydict(
            {
                "user_number": pa.array(numbers),
                "birth_year": pa.array(int(iso(world.as_of)[:4]) - who.age),
                "gender": pa.array(GENDERS).take(pa.array(who.gender)),
                "region": pa.array(REGIONS).take(pa.array(who.region)),
                "occupation": pa.array(OCCUPATIONS).take(pa.array(who.occupation)),
                "income": pa.array(who.income),
                "joined_day": pa.array((world.opening + who.joined).astype("int32")),
                "channels": pa.array([_channels(has, best) for has, best in zip(who.has_channel, who.preferred_channel, strict=True)]),
                "consent": pa.array((who.has_consent > 0) & (numbers < world.users)),
            }
        )

    blocks = spark.range(0, -(-everyone // block_users), 1, files(world)).withColumnRenamed("id", "block")
    schema = (
        "user_number bigint, birth_year bigint, gender string, region string, occupation string, income double, joined_day int, "
        "channels array<string>, consent boolean"
    )
    rows = blocks.mapInArrow(per_block(known), schema)
    number, mark = F.col("user_number"), F.abs(F.hash("user_number", F.lit(world.seed)))
    first, last = F.array(*map(F.lit, FIRST_NAMES)), F.array(*map(F.lit, LAST_NAMES))
    given = F.element_at(first, (mark % len(FIRST_NAMES)) + 1)
    family = F.element_at(last, (F.floor(mark / 64) % len(LAST_NAMES) + 1).cast("int"))
    return rows.select(
        user_id(number).alias("user"),
        F.concat(given, F.lit(" "), family).alias("name"),
        F.concat(F.lower(given), F.lit("."), F.lower(family), number.cast("string"), F.lit("@example.org")).alias("mail"),
        F.concat(F.lit("+99 555 "), F.lpad(number.cast("string"), 9, "0")).alias("phone"),
        F.concat((mark % 190 + 1).cast("string"), F.lit(" "), family, F.lit(" Street")).alias("address"),
        "birth_year",
        "gender",
        "region",
        "occupation",
        "income",
        F.date_add(F.lit(date(1970, 1, 1)), F.col("joined_day")).cast("string").alias("joined"),
        "channels",
        "consent",
    )


def items(spark: SparkSession, world: World) -> DataFrame:
    """One row per item. Small: made on the driver."""
    goods = world.catalogue
    rows = [
        (
            n,
            CATEGORIES[goods.category[n]],
            f"brand{goods.brand[n]:02d}",
            float(goods.price[n]),
            float(goods.unit_cost[n]),
            int(goods.stock[n]),
        )
        for n in range(goods.items)
    ]
    frame = spark.createDataFrame(rows, "number int, category string, brand string, price double, unit_cost double, stock bigint")
    grade = F.when(F.col("price") < 10, "handy").when(F.col("price") < 40, "solid").otherwise("premium")
    return frame.select(
        item_id(F.col("number")).alias("item"),
        "category",
        "brand",
        "price",
        "unit_cost",
        "stock",
        F.initcap(F.concat_ws(" ", "brand", "category", F.lit("no."), (F.col("number") + 1).cast("string"))).alias("title"),
        F.concat_ws(" ", F.lit("A"), grade, "category", F.lit("item by"), "brand", F.lit("for every day")).alias("description"),
    ).coalesce(1)


def promotions(spark: SparkSession, offered: tuple[Promotion, ...]) -> DataFrame:
    """One row per promotion. Small: made on the driver."""
    rows = [
        (
            p.promotion_id,
            p.name,
            p.form,
            None if p.category is None else CATEGORIES[p.category],
            None if p.brand is None else f"brand{p.brand:02d}",
            None if p.items is None else [f"I{n + 1:06d}" for n in p.items],
            p.threshold or None,
            p.discount_rate or None,
            p.discount_amount or None,
            None if p.gift_item is None else f"I{p.gift_item + 1:06d}",
            p.gift_unit_cost or None,
            _instant(p.starts),
            _instant(p.ends),
            p.budget,
            p.inventory,
            None,
        )
        for p in offered
    ]
    schema = (
        "promotion string, name string, form string, scope_category string, scope_brand string, scope_items array<string>, "
        "threshold double, discount_rate double, discount_amount double, "
        "gift_item string, gift_unit_cost double, starts string, ends string, budget double, "
        "inventory bigint, target_segment string"
    )
    return spark.createDataFrame(rows, schema).coalesce(1)


def past_offers(spark: SparkSession, world: World) -> DataFrame:
    """One row per consenting user and past campaign: what was drawn for them, sent or withheld."""
    offered = past.promotions(world)

    def drawn(row: dict[str, Any]) -> pa.RecordBatch:
        block = world.block(row["block"])
        given = past.assign(block)
        users = block.users[given.row]
        return pa.RecordBatch.from_pydict(
            {
                "offer": pa.array(past.offer_ids(world.seed, users, given.key)),
                "campaign": pa.array([campaign.campaign_id for campaign in world.campaigns]).take(pa.array(given.campaign)),
                "user_number": pa.array(users),
                "promotion": pa.array([promotion.promotion_id for promotion in offered]).take(pa.array(given.promotion)),
                "arm": pa.array(past.ARMS).take(pa.array(given.arm)),
                "propensity": pa.array(given.propensity),
                "channel": pa.array(CHANNELS).take(pa.array(block.known.preferred_channel[given.row])),
                "issued": pa.array([_instant(offered[place].starts) for place in given.promotion]),
                "valid_from": pa.array([_instant(offered[place].starts) for place in given.promotion]),
                "valid_until": pa.array([_instant(offered[place].ends) for place in given.promotion]),
            }
        )

    blocks = spark.range(0, world.blocks, 1, files(world)).withColumnRenamed("id", "block")
    schema = (
        "offer string, campaign string, user_number bigint, promotion string, arm string, propensity double, channel string, "
        "issued string, valid_from string, valid_until string"
    )
    drawn_rows = blocks.mapInArrow(per_block(drawn), schema)
    return drawn_rows.withColumn("user", user_id(F.col("user_number"))).drop("user_number")


def _channels(has: Any, preferred: int) -> list[str]:
    others = [place for place in range(len(CHANNELS)) if has[place] and place != preferred]
    return [CHANNELS[place] for place in (preferred, *others)]


def _instant(day: int) -> str:
    """Midnight UTC of `day`, on the shop's clock."""
    return (datetime.combine(day_of(day), datetime.min.time(), UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S") + "+01:00"
