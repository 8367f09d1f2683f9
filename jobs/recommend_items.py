"""users, events, items, recommender model (MLflow) -> item_recommendations."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import launch, registry, tables
from promoloop.launch import Outcome
from promoloop.recommenders import content, interactions, model, ranker, serving, training
from promoloop.recommenders.model import Model
from promoloop.recommenders.training import Shop
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """List the items each user will want, from what happened before as_of."""
    own, as_of = settings.recommenders, settings.run.as_of
    shop = Shop(
        tables.read(spark, settings, tables.EVENTS),
        tables.read(spark, settings, tables.USERS),
        tables.read(spark, settings, tables.ITEMS),
    )
    document, version = registry.load_document(settings, model.NAME, model.TRAINED_BY)
    learned = Model.from_document(document)
    vectors = content.per_item(shop.items, own.content_width)
    strengths = interactions.per_user_item(shop.events, as_of, own).cache()
    users, goods = training.serving_side(shop, strengths, vectors, learned, own)
    judge = ranker.from_document(learned.ranker)
    lists = serving.recommend(users, goods, judge, own, settings.run.seed + as_of.toordinal())
    written = tables.replace_day(lists.withColumn("as_of_on", F.lit(as_of)), settings, tables.ITEM_RECOMMENDATIONS, as_of)
    strengths.unpersist()
    return Outcome(rows_out=written, figures={"recommender_version": version})


if __name__ == "__main__":
    launch.main(run)
