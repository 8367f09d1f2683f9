"""raw_events, users, items -> events, events_rejected, batches."""

from contextlib import suppress

from pyspark.sql import DataFrame, SparkSession

from promoloop import events, expectations, launch, sources, tables
from promoloop.errors import UserError
from promoloop.launch import Outcome
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Judge what came since the last run: accepted, rejected with reasons, or duplicate.

    Raises UserError where too much is rejected, or where what is there is long past.
    """
    for table in (tables.USERS, tables.ITEMS):
        tables.version(spark, settings, table)
    rules = expectations.load_rules(spark, "events", events.judged_schema(tables.RAW_EVENTS.schema))
    raw = tables.read_stream(spark, settings, tables.RAW_EVENTS)
    mapping = sources.load_mapping(settings.source.name)
    given = mapping.given_columns("events")
    gap = None if "session_id" in given else settings.events.session_gap_minutes
    checkpoint = tables.checkpoint(settings, "clean")
    if sources.is_new(spark, checkpoint) and _has_cleaned(spark, settings):  # Delta would pass over takes as if it had them
        raise UserError(f"table batches knows of cleanings, {checkpoint} of none: bring paths.checkpoints back, or begin with empty tables")
    totals = events.Totals()
    begun: list[int] = []

    def clean(received: DataFrame, take: int) -> None:
        # a run that was killed amid a take may have appended its events: the rest of it must be judged by what was known then
        inputs = {} if begun else tables.inputs_of(spark, settings, tables.EVENTS, "clean", take)
        begun.append(take)
        users, items = (_as_it_was(spark, settings, table, inputs.get(table.name)) for table in (tables.USERS, tables.ITEMS))
        had_events = tables.EVENTS.name in inputs if inputs else tables.exists(spark, settings, tables.EVENTS)
        known = _as_it_was(spark, settings, tables.EVENTS, inputs.get(tables.EVENTS.name)) if had_events else None
        judged = events.judge(
            received, known, users, items, rules, settings.events, is_price_given="price" in given, has_own_ids=mapping.has_own_ids
        )
        verdicts = events.add_verdicts(judged.records, judged.history, mapping.has_own_ids)
        counts = events.per_batch(verdicts, rules, take).collect()
        before = tables.read_or_empty(spark, settings, tables.BATCHES)  # anew: the last take of this run may have been of the same batch
        events.gate(verdicts, counts, before, rules, settings.events)
        tables.append_once(events.accepted(verdicts, gap, judged.history), settings, tables.EVENTS, "clean", take)
        if any(row["rows_rejected"] for row in counts):  # else they would all be read once more, to find none
            refused = events.rejected(verdicts, tables.RAW_EVENTS.column_names)
            tables.append_once(refused, settings, tables.EVENTS_REJECTED, "clean", take)
        batches = spark.createDataFrame([row.asDict() for row in counts], tables.BATCHES.schema)
        tables.append_once(batches, settings, tables.BATCHES, "clean", take)
        totals.add(counts)

    sources.take(raw, checkpoint, clean).wait()
    for table in (tables.EVENTS, tables.EVENTS_REJECTED, tables.BATCHES):
        tables.create(spark, settings, table)  # where no record came, later jobs find none
    events.require_fresh(tables.read(spark, settings, tables.EVENTS), settings.run.as_of)
    return Outcome(totals.received, totals.accepted, totals.rejected, {"rows_duplicate": totals.duplicate})


def _as_it_was(spark: SparkSession, settings: Settings, table: tables.Table, version: int | None) -> DataFrame:
    with suppress(UserError):  # it is gone from the table's log
        if version is not None:
            return tables.read_version(spark, settings, table, version)
    return tables.read(spark, settings, table)


def _has_cleaned(spark: SparkSession, settings: Settings) -> bool:
    if not tables.exists(spark, settings, tables.BATCHES):
        return False
    return not tables.history(spark, settings, tables.BATCHES).where("job = 'clean_events' AND operation = 'WRITE'").isEmpty()


if __name__ == "__main__":
    launch.main(run)
