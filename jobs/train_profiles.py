"""events, users, items, promotions -> profile models (MLflow)."""

from pyspark.sql import SparkSession

from promoloop import launch, profiles, tables
from promoloop.launch import Outcome
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Learn from the past, cut at days before as_of, who buys what and when; make the models champions."""
    events = tables.read(spark, settings, tables.EVENTS)
    users = tables.read(spark, settings, tables.USERS)
    items = tables.read(spark, settings, tables.ITEMS)
    promotions = tables.read(spark, settings, tables.PROMOTIONS)
    own, seed = settings.profiles, settings.run.seed
    history = profiles.recall(events, users, items, promotions, settings.run.as_of, own, settings.features, seed)
    trained = profiles.train(history, own, seed)
    versions = profiles.keep(trained, settings)
    figures: dict[str, float | int | str] = {f"{model.name}.{key}": value for model in trained for key, value in model.figures.items()}
    return Outcome(rows_out=len(versions), figures=figures)


if __name__ == "__main__":
    launch.main(run)
