"""The log as the shop would export it: JSON lines, made dirty on purpose, each dirty record of exactly one kind."""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.simulator.law import CATEGORIES, Law
from promoloop.simulator.world import World, day_of

# kind -> what a cleaner should do with the record, and why
DISPOSITIONS = {
    "clean": ("accepted", ""),
    "late": ("accepted", "arrives with the next batch"),
    "duplicate": ("duplicate", "the same record again, same event_id"),
    "null_user": ("rejected", "no user"),
    "wrong_type": ("rejected", "time or quantity is a word"),
    "unknown_item": ("rejected", "item is not in the catalogue"),
    "negative_price": ("rejected", "price below zero"),
    "future_time": ("rejected", "time in the year 2099"),
    "truncated": ("rejected", "the line ends in the middle"),
    "bot": ("rejected", "views at a machine's rhythm, one a second"),
}
_OPENINGS = (
    ("Broke at once", "Very disappointed", "Never again", "Wants its money back"),
    ("Not what I hoped for", "Rather poor", "Weak", "Would not buy again"),
    ("It is all right", "Does what it should", "Average", "Neither good nor bad"),
    ("Good", "Quite happy", "Would buy again", "Pleasant surprise"),
    ("Excellent", "Best I have had", "Love it", "Perfect in every way"),
)
_SUBJECTS = {name: f"{name} for the price" for name in CATEGORIES}


def user_id(number: Column) -> Column:
    """Raw id of a user."""
    return F.concat(F.lit("U"), F.lpad((number + 1).cast("string"), 9, "0"))


def item_id(number: Column) -> Column:
    """Raw id of an item."""
    return F.concat(F.lit("I"), F.lpad((number + 1).cast("string"), 6, "0"))


def brand_id(number: Column) -> Column:
    """Brand as the shop writes it."""
    return F.concat(F.lit("brand"), F.lpad(number.cast("string"), 2, "0"))


def moment(at: Column) -> Column:
    """ISO 8601 with the offset of the shop's clock, an hour ahead of UTC."""
    return F.concat(F.date_format(at + F.expr("INTERVAL 1 HOUR"), "yyyy-MM-dd'T'HH:mm:ss.SSS"), F.lit("+01:00"))


def records(log: DataFrame, world: World, until: int) -> DataFrame:
    """Raw records of the clean log: fields of the export, `kind`, and `is_held` where the next batch delivers it.

    Held are late records, and reviews written on or after day `until`.
    """
    law, seed = world.law, world.seed
    end = F.lit(day_of(until)).cast("timestamp")
    keys = [F.col(name) for name in ("user_number", "event_type", "at", "item_number", "line", "offer", "session_number")]

    def draw(stream: str) -> Column:
        return _uniform(stream, seed, keys)

    is_recent = (F.col("at") >= end - F.expr("INTERVAL 2 DAYS")) & (F.col("at") < end)
    is_after = F.col("at") >= end
    is_late = is_recent & (draw("late") < law.late_share)
    opened = F.element_at(
        F.array(*[F.lit(text) for group in _OPENINGS for text in group]), (F.col("rating") - 1) * 4 + F.col("wording") + 1
    )
    subject = F.element_at(F.array(*[F.lit(text) for text in _SUBJECTS.values()]), F.col("item_number") % len(CATEGORIES) + 1)
    return log.select(
        _hex("E", *keys, F.lit(seed)).alias("event_id"),
        "event_type",
        user_id(F.col("user_number")).alias("user"),
        F.when(F.col("session_number").isNotNull(), _hex("S", F.col("user_number"), F.col("session_number"), F.lit(seed))).alias("session"),
        item_id(F.col("item_number")).alias("item"),
        "promotion",
        "offer",
        F.when(F.col("order_day").isNotNull() & (F.col("event_type") != "review"), order_id(seed)).alias("order"),
        moment(F.col("at")).alias("time"),
        "quantity",
        "price",
        "concession",
        "rating",
        F.when(F.col("rating").isNotNull(), F.concat(opened, F.lit(": "), subject, F.lit("."))).alias("text"),
        "channel",
        F.explode(
            F.array_compact(F.array(F.when(is_late, F.lit("late")).otherwise(F.lit("clean")), *_dirt(draw, law, is_late | is_after)))
        ).alias("kind"),
        (is_late | is_after).alias("is_held"),
    )


def order_id(seed: int) -> Column:
    """Raw id of the order a user made on `order_day`."""
    return _hex("R", F.col("user_number"), F.col("order_day"), F.lit(seed), F.lit("order"))


def spoil(records: DataFrame) -> DataFrame:
    """Lines (`line`, `kind`, `is_held`) of raw records, each spoilt as its kind says.

    A spoilt record is one too many: the clean one it was copied from is there too, so a cleaner that drops it loses nothing.
    """
    kind = F.col("kind")
    is_spoilt = ~kind.isin("clean", "late", "duplicate")
    spoilt = records.withColumns(
        {
            "event_id": F.when(is_spoilt, F.concat("event_id", F.lit("-"), F.substring(kind, 1, 3))).otherwise(F.col("event_id")),
            "user": F.when(kind != "null_user", F.col("user")),
            "item": F.when(kind == "unknown_item", F.concat(F.lit("X"), "item")).otherwise(F.col("item")),
            "price": F.when(kind == "negative_price", -F.col("price")).otherwise(F.col("price")),
            "time": F.when((kind == "wrong_type") & F.col("quantity").isNull(), F.lit("yesterday"))
            .when(kind == "future_time", F.concat(F.lit("2099"), F.substring("time", 5, 30)))
            .otherwise(F.col("time")),
        }
    )
    fields = [name for name in spoilt.columns if name not in ("kind", "is_held")]
    line = F.to_json(F.struct(*fields))
    worded = F.regexp_replace(line, r'"quantity":\d+', '"quantity":"two"')
    return spoilt.select(F.when(kind == "wrong_type", worded).otherwise(line).alias("line"), "kind", "is_held")


def machines(spark: SparkSession, world: World, first: int, until: int) -> DataFrame:
    """Lines of the bots' views (users numbered after the people), and last of all one that ends in the middle; one partition."""
    views, seed = world.bot_views, world.seed
    number, step = F.col("id"), F.col("id") % views
    bot = F.lit(world.users) + F.floor(number / views)
    start = F.lit(day_of(first + (until - first) // 2)).cast("timestamp").cast("bigint") + F.lit(3 * 3600)
    at = F.timestamp_seconds(start + F.floor(number / views) * 60 + step)
    rows = spark.range(0, world.bots * views + 1, 1, 1).select(
        _hex("E", bot, number, F.lit(first), F.lit(seed), F.lit("bot")).alias("event_id"),
        F.lit("view").alias("event_type"),
        user_id(bot).alias("user"),
        _hex("S", bot, F.lit(first), F.lit(seed), F.lit("bot")).alias("session"),
        item_id(F.floor(_uniform("bot item", seed, [number, F.lit(first)]) * world.items)).alias("item"),
        moment(at).alias("time"),
        F.lit("web").alias("channel"),
        (number == world.bots * views).alias("is_cut"),
    )
    line = F.to_json(F.struct(*[name for name in rows.columns if name != "is_cut"]))
    return rows.select(
        F.when(F.col("is_cut"), F.substring(line, 1, 77)).otherwise(line).alias("line"),
        F.when(F.col("is_cut"), "truncated").otherwise("bot").alias("kind"),
    )


def _dirt(draw, law: Law, is_held: Column) -> list[Column]:  # type: ignore[no-untyped-def]
    chosen = {
        "duplicate": draw("duplicate") < law.duplicate_share,
        "null_user": draw("null user") < law.null_user_share,
        "wrong_type": draw("wrong type") < law.wrong_type_share,
        "unknown_item": F.col("item_number").isNotNull() & (draw("unknown item") < law.unknown_item_share),
        "negative_price": F.col("price").isNotNull() & (draw("negative price") < law.negative_price_share),
        "future_time": draw("future time") < law.future_time_share,
    }
    return [F.when(~is_held & condition, F.lit(kind)) for kind, condition in chosen.items()]


def _uniform(stream: str, seed: int, keys: list[Column]) -> Column:
    return (F.shiftrightunsigned(F.xxhash64(F.lit(stream), F.lit(seed), *keys), 11)).cast("double") * F.lit(2.0**-53)


def _hex(letter: str, *keys: Column) -> Column:
    return F.concat(
        F.lit(letter), F.lower(F.hex(F.xxhash64(*keys))), F.lower(F.hex(F.hash(*keys).cast("bigint").bitwiseAND(F.lit(0xFFFFFFFF))))
    )
