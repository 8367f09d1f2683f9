"""events_rejected, users, items, events -> events, events_rejected, batches: quarantined records judged again, after a fix."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import events, expectations, launch, privacy, sources, tables
from promoloop.launch import Outcome
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Judge the quarantine by today's rules, users and items. What is sound now becomes events; the rest stays, with today's reasons."""
    privacy.refuse_unfinished(tables.read_or_empty(spark, settings, tables.KEY_RING).collect())
    users, items = tables.read(spark, settings, tables.USERS), tables.read(spark, settings, tables.ITEMS)
    rules = expectations.load_rules(spark, "events", events.judged_schema(tables.RAW_EVENTS.schema))
    mapping = sources.load_mapping(settings.source.name)
    given = mapping.given_columns("events")
    version = tables.version(spark, settings, tables.EVENTS_REJECTED)
    received = events.received_again(tables.read(spark, settings, tables.EVENTS_REJECTED), tables.RAW_EVENTS.schema)
    known = tables.read_or_empty(spark, settings, tables.EVENTS)
    judged = events.judge(
        received, known, users, items, rules, settings.events, is_price_given="price" in given, has_own_ids=mapping.has_own_ids
    )
    found = events.add_verdicts(judged.records, judged.history, mapping.has_own_ids)
    # those a run that was killed released already: they are events, and only have to leave the quarantine
    done = known.select("record_id", "event_id").distinct().withColumn("_is_released", F.lit(True))
    verdicts = found.join(done, ["record_id", "event_id"], "left")
    verdicts = verdicts.withColumn("verdict", F.when(F.col("_is_released"), "accepted").otherwise(F.col("verdict")))
    corrected = events.moved_per_batch(verdicts, take=-1 - version)
    gap = None if "session_id" in given else settings.events.session_gap_minutes
    accepted = events.accepted(verdicts.where(F.col("_is_released").isNull()), gap, judged.history)
    released = tables.append_once(accepted, settings, tables.EVENTS, "release", tables.version(spark, settings, tables.EVENTS))
    tables.append_once(corrected, settings, tables.BATCHES, "requeue", version)
    still = events.rejected(verdicts, tables.RAW_EVENTS.column_names)
    left = tables.replace_table(still, settings, tables.EVENTS_REJECTED)
    return Outcome(rows_in=released + left, rows_out=released, rows_rejected=left)


if __name__ == "__main__":
    launch.main(run)
