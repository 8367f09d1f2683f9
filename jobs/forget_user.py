"""every table with a user_id -> the same without the users named in privacy.forget."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import launch, privacy, tables
from promoloop.errors import UserError
from promoloop.launch import Outcome
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Erase them from every table, past versions included, and count what is left: none, or the figures say where."""
    if not settings.privacy.forget:
        raise UserError("privacy.forget: name the users to forget, such as --set 'privacy.forget=[\"u1\"]'")
    key = privacy.load_key(settings)
    named = spark.createDataFrame([(user,) for user in settings.privacy.forget], "user string")
    pseudonyms = [row[0] for row in named.select(privacy.pseudonymise(F.col("user"), key)).collect()]
    people = spark.createDataFrame([(name,) for name in pseudonyms], "user_id string")
    figures: dict[str, float | int | str] = {}
    erased = 0
    for table in tables.TABLES:
        about = privacy.about(table.column_names, pseudonyms)
        if about is None or not tables.exists(spark, settings, table):
            continue
        erased += tables.read(spark, settings, table).where(about).count()
        tables.erase_people(people, settings, table)
        tables.vacuum(spark, settings, table)
        figures[f"left in {table.name}"] = tables.read(spark, settings, table).where(about).count()
    return Outcome(rows_in=len(pseudonyms), rows_out=erased, figures=figures)


if __name__ == "__main__":
    launch.main(run)
