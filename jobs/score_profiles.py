"""user_features, profile models -> user_profiles."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import launch, profiles, tables
from promoloop.errors import UserError
from promoloop.launch import Outcome
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Judge every user of as_of by the champions."""
    as_of, champions = settings.run.as_of, profiles.champions(settings)
    user_features = tables.read(spark, settings, tables.USER_FEATURES).where(F.col("as_of_on") == F.lit(as_of))
    if user_features.isEmpty():
        raise UserError(f"user_features holds nothing of {as_of}: run build_features first")
    scored = profiles.score(user_features, champions, settings.profiles)
    rows = tables.replace_day(scored, settings, tables.USER_PROFILES, as_of)
    return Outcome(rows_out=rows, figures={"users": rows})


if __name__ == "__main__":
    launch.main(run)
