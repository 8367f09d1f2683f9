"""What the rules need to know of a record beside its own columns: is its user known, how far off is its price, is it a bot."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from promoloop.settings.data import EventsSettings

NO_ID = "content-"  # begins the id of an event whose source gives it none
_GAP = "gap-"  # begins the id of a session whose source gives it none

CONTENT = (
    "event_type",
    "user_id",
    "session_id",
    "item_id",
    "promotion_id",
    "offer_id",
    "order_id",
    "occurred_at",
    "quantity",
    "price",
    "concession",
    "rating",
    "text",
    "channel",
)


def made_id() -> Column:
    """The event_id of a record whose source gives none: made from its fingerprint."""
    return F.concat(F.lit(NO_ID), F.hex("fingerprint"))


def add_identity(received: DataFrame) -> DataFrame:
    """Add record_id (where it came from), fingerprint (what it says), occurred_on, user_day; fill event_id where the source has none.

    Same rows. Two records with one fingerprint say the same thing, whatever their event_id: the natural key. user_day stands for user and
    day in eight bytes, and is null where one of them is; of n of them two are one by chance with a probability of n² / 2⁶⁵.
    """
    return (
        received.withColumn("record_id", F.xxhash64("batch_id", "source_file", "row_number"))
        .withColumn("fingerprint", _fingerprint(F.col("session_id")))
        .withColumn("event_id", F.coalesce("event_id", made_id()))
        .withColumn("occurred_on", F.to_date("occurred_at"))
        .withColumn("user_day", _user_day())
    )


def _user_day() -> Column:
    return F.when(F.col("user_id").isNotNull() & F.col("occurred_at").isNotNull(), F.xxhash64("user_id", "occurred_on"))


def renew_identity(accepted: DataFrame) -> DataFrame:
    """Accepted events whose pseudonyms changed, with the fingerprint, and the id made of it, that the same record would get now."""
    is_made = F.col("event_id").startswith(NO_ID)
    given_session = F.when(~F.col("session_id").startswith(_GAP), F.col("session_id"))
    renewed = accepted.withColumn("fingerprint", _fingerprint(given_session))
    return renewed.withColumn("event_id", F.when(is_made, made_id()).otherwise(F.col("event_id")))


def _fingerprint(session_id: Column) -> Column:
    said = {name: F.col(name) for name in CONTENT} | {"session_id": session_id}
    return F.xxhash64(*[F.coalesce(value.cast("string"), F.lit("")) for value in said.values()])


def add_facts(identified: DataFrame, users: DataFrame, items: DataFrame, settings: EventsSettings) -> DataFrame:
    """Add is_user_known, is_item_known, price_to_list, quantity_to_limit, seconds_ahead, days_old. Same rows; null: says nothing.

    seconds_ahead: how long after its batch was closed a record claims to have happened. quantity_to_limit: units over the most that
    one purchase of the item's category may have.
    """
    known_users = users.select("user_id", F.lit(True).alias("_user"))
    known_items = items.select("item_id", F.col("category").alias("_category"), F.col("price").alias("_list"), F.lit(True).alias("_item"))
    price = F.col("price").cast("double")
    return (
        identified.join(known_users, "user_id", "left")
        .join(known_items, "item_id", "left")
        .withColumn("is_user_known", F.when(F.col("user_id").isNotNull(), F.coalesce("_user", F.lit(False))))
        .withColumn("is_item_known", F.when(F.col("item_id").isNotNull(), F.coalesce("_item", F.lit(False))))
        .withColumn("price_to_list", F.when((F.col("_list") > 0) & (price > 0), price / F.col("_list").cast("double")))
        .withColumn("quantity_to_limit", F.abs(F.col("quantity").cast("double")) / _limit(settings))
        .withColumn("seconds_ahead", F.unix_seconds("occurred_at") - F.unix_seconds("received_at"))
        .withColumn("days_old", F.date_diff("received_at", "occurred_at"))
        .drop("_user", "_item", "_category", "_list")
    )


def _limit(settings: EventsSettings) -> Column:
    limit = F.lit(float(settings.max_quantity))
    for category, most in sorted(settings.max_quantity_of.items()):
        limit = F.when(F.col("_category") == category, F.lit(float(most))).otherwise(limit)
    return limit


def add_sessions(accepted: DataFrame, gap_minutes: int, history: DataFrame | None = None) -> DataFrame:
    """Fill session_id where the source has none: a pause of `gap_minutes` ends a session. Same rows.

    A session is named after its user and first moment. One that an earlier take began, as `history` (events accepted before) knows, goes
    on; none of those is renamed, whatever comes before it now.
    """
    told = accepted.withColumn("_is_new", F.lit(True))
    if history is not None:
        before = history.join(accepted.select("user_id"), "user_id", "left_semi")
        told = told.unionByName(
            before.select("user_id", "occurred_at", "event_id", "session_id", F.lit(False).alias("_is_new")), allowMissingColumns=True
        )
    moments = Window.partitionBy("user_id").orderBy("occurred_at", "event_id")
    pause = F.unix_seconds("occurred_at") - F.lag(F.unix_seconds("occurred_at")).over(moments)
    made = F.concat(F.lit(_GAP), F.lower(F.hex(F.xxhash64("user_id", "occurred_at"))))
    begins = F.when(~F.col("_is_new"), F.col("session_id")).when(pause.isNull() | (pause >= gap_minutes * 60), made)
    begun = F.last("_begins", ignorenulls=True).over(moments.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    filled = told.withColumn("_begins", begins).withColumn("session_id", F.coalesce("session_id", begun))
    return filled.where("_is_new").drop("_begins", "_is_new")


def bot_days(identified: DataFrame, settings: EventsSettings, history: DataFrame | None = None, has_own_ids: bool = False) -> DataFrame:
    """Days of `identified` records on which a user acts like a machine: user_day, the key.

    `history`: events accepted before on those days, which are part of what a user did. Of the days with at least `bot_min_events` events:
    more than `bot_events_per_hour` an hour over the time they span, or gaps between events that hardly vary (deviation under
    `bot_regularity` of their mean), or half of the gaps under `bot_dwell_seconds` (so a burst is seen among all else the user did that
    day). A purchase counts once an order (or its moment: the lines of an order are bought at one), any other event once: by its id if the
    source `has_own_ids`, or by what it says, whatever id it is sent again under.
    """
    order = F.coalesce("order_id", F.col("occurred_at").cast("string"))
    event = F.xxhash64("event_id") if has_own_ids else F.col("fingerprint")
    act = F.when(F.col("event_type") == "purchase", F.xxhash64(order)).otherwise(event).alias("act")
    moments = identified.where(F.col("user_day").isNotNull()).select("user_day", act, "occurred_at", F.lit(True).alias("_is_new"))
    if history is not None:
        moments = moments.union(history.select(_user_day().alias("user_day"), act, "occurred_at", F.lit(False).alias("_is_new")))
    counted = moments.groupBy("user_day").agg(F.count("*").alias("_count"), F.max("_is_new").alias("_has_new"))
    busy = counted.where((F.col("_count") >= settings.bot_min_events) & F.col("_has_new")).select("user_day")
    ordered = Window.partitionBy("user_day").orderBy("occurred_at", "act")
    gap = F.unix_micros("occurred_at") - F.lag(F.unix_micros("occurred_at")).over(ordered)
    rhythm = (
        moments.join(F.broadcast(busy), "user_day", "left_semi")
        .groupBy("user_day", "act")  # a record sent twice has no gap, which would look like haste
        .agg(F.min("occurred_at").alias("occurred_at"))
        .withColumn("_gap", gap / 1e6)
        .groupBy("user_day")
        .agg(
            F.count("*").alias("_events"),
            F.sum("_gap").alias("_span"),
            F.avg("_gap").alias("_mean"),
            F.stddev("_gap").alias("_spread"),
            F.median("_gap").alias("_middle"),
        )
    )
    is_fast = F.col("_events") > settings.bot_events_per_hour * F.greatest(F.col("_span") / 3600, F.lit(1.0))
    is_regular = F.col("_spread") < settings.bot_regularity * F.col("_mean")
    has_no_dwell = F.col("_middle") < settings.bot_dwell_seconds
    is_busy = F.col("_events") >= settings.bot_min_events
    return rhythm.where(is_busy & (is_fast | is_regular | has_no_dwell)).select("user_day")
