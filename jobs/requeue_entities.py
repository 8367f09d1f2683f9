"""entities_rejected, users, items, promotions, past_offers -> the same: quarantined records judged again, after a fix."""

from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import expectations, launch, privacy, sources, tables
from promoloop.launch import Outcome
from promoloop.offers import forms
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Judge the quarantine of entities by today's rules. What is sound now is taken where its key is not known; the rest stays.

    Of users every row counts as known, also one that says no more than a placeholder: it may be of one who took a consent back.
    """
    privacy.refuse_unfinished(tables.read_or_empty(spark, settings, tables.KEY_RING).collect())
    rejected = tables.read_or_empty(spark, settings, tables.ENTITIES_REJECTED)
    waiting = {row["table_name"] for row in rejected.select("table_name").distinct().collect()}
    released: dict[str, int] = {}
    left: list[DataFrame] = []
    for table in (table for table in sources.ENTITIES.values() if table.name in waiting):
        (key,) = table.key
        rules = expectations.load_rules(spark, table.name, sources.records_schema(table.schema))
        received = sources.received_again(rejected.where(F.col("table_name") == table.name), table.schema)
        records = received.transform(sources.add_is_key_reused, table.name, key)
        judged = records.transform(expectations.add_reasons, rules, forms.faults() if table is tables.PROMOTIONS else None)
        known = tables.read_or_empty(spark, settings, table)
        has_placeholders = table is tables.ITEMS and settings.events.unknown_items == "placeholder"
        released[table.name] = tables.merge(sources.released(judged, known, key, has_placeholders), settings, table)
        still = sources.still_refused(judged, tables.read(spark, settings, table), key)
        left.append(sources.as_rejected(still, table.name))
    rows = reduce(DataFrame.unionByName, left) if left else rejected
    stay = tables.replace_named(rows, settings, tables.ENTITIES_REJECTED, "table_name", sorted(waiting))
    out = sum(released.values())
    return Outcome(rows_in=out + stay, rows_out=out, rows_rejected=stay, figures=released)


if __name__ == "__main__":
    launch.main(run)
