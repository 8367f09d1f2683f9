"""every table with a user_id, vault, checkpoints, models, channel files -> the same without the users named in privacy.forget."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import allocation, launch, privacy, registry, tables
from promoloop.errors import UserError
from promoloop.execution import channels
from promoloop.launch import Outcome
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Erase them from every table, past versions included, and count what is left: none, or the figures say where."""
    if not settings.privacy.forget:
        raise UserError("privacy.forget: name the users to forget by the ids the mapping makes, as in --set 'privacy.forget=[\"u1\"]'")
    key = privacy.key_in_use(settings, tables.read_or_empty(spark, settings, tables.KEY_RING))
    named = spark.createDataFrame([(user,) for user in settings.privacy.forget], "user string")
    pseudonyms = [row[0] for row in named.select(privacy.pseudonymise(F.col("user"), key)).collect()]
    tables.require_all_taken(spark, settings)
    people = spark.createDataFrame([(name,) for name in pseudonyms], "user_id string")
    theirs = F.col("user_id").isin(pseudonyms)
    days = ((tables.EVENTS, "occurred_on"), (tables.PAST_OFFERS, "issued_at"), (tables.OFFERS, "issued_at"))
    firsts = [tables.read_or_empty(spark, settings, table).where(theirs).agg(F.min(F.to_date(day))).first() for table, day in days]
    known = [row[0] for row in firsts if row is not None and row[0] is not None]
    if tables.exists(spark, settings, tables.OFFERS):  # before the ledger forgets in which runs they were sent something
        ledger, promotions = (tables.read(spark, settings, table) for table in (tables.OFFERS, tables.PROMOTIONS))
        for run_id in channels.runs(ledger.where(theirs)):
            channels.write(ledger.where(~theirs), promotions, settings.paths.out, run_id)
    figures: dict[str, float | int | str] = {}
    erased = 0
    for table in (*tables.TABLES, tables.VAULT):
        about = privacy.about(table.column_names, pseudonyms)
        if about is None or not tables.exists(spark, settings, table):
            continue
        found = tables.read(spark, settings, table).where(about).count()
        if found:
            tables.erase_people(people, settings, table)
        erased += found
        tables.purge(spark, settings, table)  # also where none was found: a run before may have been killed here
        figures[f"left in {table.name}"] = tables.read(spark, settings, table).where(about).count()
    allocation.clear(spark, settings)
    if not erased:
        figures["nobody found"] = "erased before, or privacy.key is not that of these tables, or the ids are not as the mapping makes them"
    figures["left in channel files"] = channels.count_naming(spark, settings.paths.out, pseudonyms)
    figures["left in checkpoints"] = privacy.lines_naming(spark, tables.checkpoint(settings, ""), pseudonyms)
    figures["left in models"] = registry.count_naming(settings, pseudonyms)
    since = str(min(known)) if known else ""  # without an event or an offer: trained on whom the tables knew
    learned = [f"{one['name']} version {one['version']}" for one in registry.versions(settings) if one["as_of"] > since]
    figures["models trained on that data, to be trained again"] = ", ".join(learned) or "none"
    return Outcome(rows_in=len(pseudonyms), rows_out=erased, figures=figures)


if __name__ == "__main__":
    launch.main(run)
