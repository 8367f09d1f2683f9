"""every table with a user_id, vault, key_ring, offers, promotions -> the same under the key privacy.new_key, channel files."""

from pyspark.sql import SparkSession

from promoloop import allocation, events, launch, privacy, sources, tables
from promoloop.execution import channels
from promoloop.launch import Outcome
from promoloop.settings import Settings

_FROM_SOURCE = ("ingest_events", "clean_events")  # whose tables hold what the mapping calls `keyed`


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Wrap every pseudonym by the new key, table by table, each exactly once; stopped anywhere, the next run goes on where this one was."""
    newer = privacy.load_new_key(settings)
    ring = tables.read_or_empty(spark, settings, tables.KEY_RING)
    if privacy.is_under(ring, newer):
        return Outcome(figures={"tables": 0})
    begun = privacy.started(settings, ring, newer)
    tables.require_all_taken(spark, settings)
    vaults = [tables.VAULT] if tables.exists(spark, settings, tables.VAULT) else []
    vault_key = privacy.load_vault_key(settings) if vaults else b""
    for table in vaults:  # before the ring says that a re-keying began, which could not be finished
        privacy.sealed_under(tables.read(spark, settings, table), vault_key)
    tables.replace_table(spark.createDataFrame(begun, tables.KEY_RING.schema), settings, tables.KEY_RING)

    keyed = {name for files in sources.load_mapping(settings.source.name).sets for name in files.keyed}
    application, rows = f"rekey-{begun[-1]['key_mark']}", 0
    naming = [table for table in tables.TABLES if not {"user_id", "record"}.isdisjoint(table.column_names)]
    rekeyed = [table for table in naming if tables.exists(spark, settings, table)]
    for table in rekeyed:
        named = {"user_id", *(keyed if table.written_by in _FROM_SOURCE else ())}
        wrapped = tables.read(spark, settings, table).transform(privacy.wrap_all, named, newer)
        if table is tables.EVENTS:
            wrapped = wrapped.transform(events.renew_identity)
        rows += tables.rewrite_once(wrapped, settings, table, application)
    for table in vaults:
        resealed = privacy.reseal(tables.read(spark, settings, table), newer, vault_key)
        rows += tables.rewrite_once(resealed, settings, table, application)
    for table in (*rekeyed, *vaults):  # once all are: a run that was killed would vacuum again what it had before
        tables.vacuum(spark, settings, table)
    allocation.clear(spark, settings)
    if tables.exists(spark, settings, tables.OFFERS):
        ledger, promotions = (tables.read(spark, settings, table) for table in (tables.OFFERS, tables.PROMOTIONS))
        for run_id in channels.runs(ledger):
            channels.write(ledger, promotions, settings.paths.out, run_id)
    tables.replace_table(spark.createDataFrame(privacy.finished(settings, ring, newer), tables.KEY_RING.schema), settings, tables.KEY_RING)
    tables.vacuum(spark, settings, tables.KEY_RING)
    return Outcome(rows_in=rows, rows_out=rows, figures={"tables": len(rekeyed)})


if __name__ == "__main__":
    launch.main(run)
