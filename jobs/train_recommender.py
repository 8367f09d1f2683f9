"""events, users, items -> recommender model (MLflow)."""

from pyspark.sql import SparkSession

from promoloop import launch, registry, tables
from promoloop.launch import Outcome
from promoloop.recommenders import model, training
from promoloop.recommenders.training import Shop
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Learn from what users did before as_of what they take next, and make that model the champion."""
    own = settings.recommenders
    shop = Shop(
        tables.read(spark, settings, tables.EVENTS),
        tables.read(spark, settings, tables.USERS),
        tables.read(spark, settings, tables.ITEMS),
    )
    trained = training.train(shop, settings.run.as_of, own, settings.run.seed, settings.spark.shuffle_partitions)
    document = trained.model.to_document()
    fewest = settings.privacy.k_anonymity  # coverage alone counts no users: it is of items
    card = {"lists_on_holdout": [row for row in trained.measured if row.get("count_users", fewest) >= fewest]}
    version = registry.log_document(settings, model.NAME, document, trained.figures, model.params(trained.settings), card)
    return Outcome(rows_out=len(trained.model.item_ids), figures={"version": version, **trained.figures})


if __name__ == "__main__":
    launch.main(run)
