"""source files -> raw_events, users, items, promotions, past_offers, entities_rejected; each file once."""

from threading import Lock

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import expectations, launch, privacy, sources, tables
from promoloop.launch import Outcome
from promoloop.offers import forms
from promoloop.settings import Settings

_ENTITIES = {"users": tables.USERS, "items": tables.ITEMS, "promotions": tables.PROMOTIONS, "past_offers": tables.PAST_OFFERS}


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Take the source's new files: pseudonymise at once, keep events as received, keep entities current."""
    mapping = sources.load_mapping(settings.source.name)
    folder = mapping.folder(settings.source.path, settings.paths.landing)
    key = privacy.load_key(settings)
    written: dict[str, int] = {"events": 0, "rejected": 0}
    one_writer = Lock()  # streams of two sets may write one table

    def keep_events(arrived: DataFrame, files: sources.Files, name: str, number: int) -> None:
        mapped = sources.read_columns(arrived, files, tables.RAW_EVENTS.schema, settings.run.as_of)
        raw = mapped.transform(privacy.pseudonymise_all, ["user_id", *files.keyed], key).withColumn("source", F.lit(mapping.name))
        written["events"] += tables.append_once(raw, settings, tables.RAW_EVENTS, name, number)

    def keep_entities(arrived: DataFrame, files: sources.Files, name: str, number: int) -> None:
        table = _ENTITIES[files.entity]
        records = sources.read_columns(arrived, files, table.schema, settings.run.as_of).transform(
            sources.add_is_key_reused, table.name, table.key[0]
        )
        named = [name for name in ("user_id", *files.keyed) if name in table.column_names]
        records = records.transform(privacy.pseudonymise_all, named, key)
        rules = expectations.load_rules(spark, table.name, sources.records_schema(table.schema))
        judged = records.transform(expectations.add_reasons, rules)
        if table is tables.PROMOTIONS:
            judged = judged.withColumn("reasons", F.array_union("reasons", forms.faults()))
        judged = judged.persist()
        sound, broken = judged.where(F.size("reasons") == 0), judged.where(F.size("reasons") > 0)
        current = sources.keep_current(sound, table.key[0], table.column_names)
        with one_writer:
            refused = sources.as_rejected(broken, table.name)
            rejected = 0 if broken.isEmpty() else tables.append_once(refused, settings, tables.ENTITIES_REJECTED, name, number)
            kept = tables.merge(current, settings, table, columns=files.columns)
        judged.unpersist()
        written.update({"rejected": written["rejected"] + rejected, table.name: written.get(table.name, 0) + kept})

    def keep(files: sources.Files, name: str) -> sources.Take:
        handle = keep_events if files.entity == "events" else keep_entities
        stream = sources.arrivals(spark, files, folder, max_files=settings.source.max_files)
        place = tables.checkpoint(settings, f"ingest/{name}")
        return sources.take(stream, place, lambda arrived, n: handle(arrived, files, name, n), settings.source.every_seconds or None)

    named = [(files, f"{mapping.name}-{number}-{files.entity}") for number, files in enumerate(mapping.sets)]
    sources.wait_for([keep(files, name) for files, name in named if sources.are_there(spark, files, folder)])
    rejected = written.pop("rejected")
    return Outcome(rows_in=sum(written.values()) + rejected, rows_out=sum(written.values()), rows_rejected=rejected, figures={**written})


if __name__ == "__main__":
    launch.main(run)
