"""source files -> raw_events, users, items, promotions, past_offers, entities_rejected, vault; each file once."""

from threading import Lock

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import expectations, launch, privacy, sources, tables
from promoloop.errors import UserError
from promoloop.launch import Outcome
from promoloop.offers import forms
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Take the source's new files: pseudonymise at once, keep events as received, keep entities current.

    Raises UserError where too many records of an entity are rejected: nothing of that take is written then.
    """
    mapping = sources.load_mapping(settings.source.name)
    folder = mapping.folder(settings.source.path, settings.paths.landing)
    key = privacy.key_in_use(settings, tables.read_or_empty(spark, settings, tables.KEY_RING))
    keeps_vault = settings.privacy.has_vault and any(files.vault for files in mapping.sets)
    vault_key = privacy.load_vault_key(settings) if keeps_vault else b""
    if keeps_vault:  # before anything of it is sealed by another one: no key would open all of it
        privacy.sealed_under(tables.read_or_empty(spark, settings, tables.VAULT), vault_key)
    written: dict[str, int] = {"events": 0, "rejected": 0}
    chosen = ((tables.USERS, settings.events.unknown_users), (tables.ITEMS, settings.events.unknown_items))
    filled_in = [table for table, choice in chosen if choice == "placeholder"]
    one_writer, one_append = Lock(), Lock()  # streams of two sets may write one table

    def keep_events(arrived: DataFrame, files: sources.Files, name: str, number: int) -> None:
        mapped = sources.read_columns(arrived, files, tables.RAW_EVENTS.schema, settings.run.as_of)
        raw = mapped.transform(privacy.pseudonymise_all, ["user_id", *files.keyed], key).withColumn("source", F.lit(mapping.name))
        for table in filled_in:  # before the events that need them: whoever reads those finds these
            with one_writer:
                tables.merge(sources.placeholders(raw, table.key[0], table.schema), settings, table, is_insert_only=True)
        with one_append:
            written["events"] += tables.append_once(raw, settings, tables.RAW_EVENTS, name, number)

    def keep_entities(arrived: DataFrame, files: sources.Files, name: str, number: int) -> None:
        table = sources.ENTITIES[files.entity]
        is_vaulted = keeps_vault and bool(files.vault)
        records = sources.read_columns(arrived, files, table.schema, settings.run.as_of, is_vaulted)
        records = records.transform(sources.add_is_key_reused, table.name, table.key[0])
        named = [name for name in ("user_id", *files.keyed) if name in table.column_names]
        records = records.transform(privacy.pseudonymise_all, named, key)
        if is_vaulted:  # sealed before anything of it is kept, in memory or on disk
            records = records.transform(privacy.add_sealed, vault_key)
        rules = expectations.load_rules(spark, table.name, sources.records_schema(table.schema))
        judged = records.transform(expectations.add_reasons, rules, forms.faults() if table is tables.PROMOTIONS else None).persist()
        refusals = expectations.gate(judged, table.name, rules, settings.events.max_rejected_share)
        sound, broken = judged.where(F.size("reasons") == 0), judged.where(F.size("reasons") > 0)
        current = sources.keep_current(sound, table.key[0], table.column_names)
        with one_writer:
            refused = sources.as_rejected(broken.drop("sealed", "key_mark"), table.name)
            rejected = tables.append_once(refused, settings, tables.ENTITIES_REJECTED, name, number) if refusals else 0
            kept = tables.merge(current, settings, table, columns=files.columns)
            if is_vaulted:
                sealed = sound.withColumn("_gone", F.col("sealed").isNull())  # identifiers that were taken back go
                boxes = sources.keep_current(sealed, "user_id", [*tables.VAULT.column_names, "_gone"])
                tables.merge(boxes, settings, tables.VAULT, gone="_gone")
        judged.unpersist()
        written.update({"rejected": written["rejected"] + rejected, table.name: written.get(table.name, 0) + kept})

    def keep(files: sources.Files, name: str) -> sources.Take:
        handle = keep_events if files.entity == "events" else keep_entities
        stream = sources.arrivals(spark, files, folder, max_files=settings.source.max_files)
        place = tables.checkpoint(settings, f"ingest/{name}")
        return sources.take(stream, place, lambda arrived, n: handle(arrived, files, name, n), settings.source.every_seconds or None)

    streams = mapping.streams()
    named = [(files, name) for files, name in streams if sources.are_there(spark, files, folder)]
    begun = set(sources.taken_by(spark, tables.checkpoint(settings, "ingest"), f"{mapping.name}-events-*"))
    followed, gone = {files.files for files, name in named if name in begun}, begun - {name for _, name in streams}
    for files, name in named:
        if name in begun:
            sources.refuse_moved(spark, files, folder, tables.checkpoint(settings, f"ingest/{name}"))
        # two sets may read the same files, but then none was changed into the new one
        if files.entity == "events" and name not in begun and (gone or files.files not in followed):
            sources.refuse_taken(spark, files, folder, tables.read_or_empty(spark, settings, tables.RAW_EVENTS), gone)
    sources.wait_for([keep(files, name) for files, name in named])
    for entity, table in sources.ENTITIES.items():
        wanted = [files.files for files in mapping.sets if files.entity == entity]
        if wanted and table in (tables.USERS, tables.ITEMS) and not tables.exists(spark, settings, table):
            raise UserError(f"no files of {entity}: nothing matches {' or '.join(map(repr, wanted))} below {folder}")
        tables.create(spark, settings, table)  # where nothing came, later jobs find nothing
    rejected = written.pop("rejected")
    return Outcome(rows_in=sum(written.values()) + rejected, rows_out=sum(written.values()), rows_rejected=rejected, figures={**written})


if __name__ == "__main__":
    launch.main(run)
