"""users, events, items, promotions, user_profiles, recommender model (MLflow) -> item_recommendations, promotion_recommendations."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import launch, registry, tables
from promoloop.frames import settle
from promoloop.launch import Outcome
from promoloop.offers import context, eligibility
from promoloop.recommenders import content, interactions, model, promotions, ranker, recall, serving, training
from promoloop.recommenders.model import Model
from promoloop.recommenders.training import Shop
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """List the items each user will want, and of many open promotions those worth valuing, from what happened before as_of."""
    own, as_of, day = settings.recommenders, settings.run.as_of, F.lit(settings.run.as_of)
    shop = Shop(
        tables.read(spark, settings, tables.EVENTS),
        tables.read(spark, settings, tables.USERS),
        tables.read(spark, settings, tables.ITEMS),
    )
    document, version = registry.load_document(settings, model.NAME, model.TRAINED_BY)
    learned = Model.from_document(document)
    vectors = content.per_item(shop.items, own.content_width)
    strengths = settle(interactions.per_user_item(shop.events, as_of, own))
    users, goods = training.serving_side(shop, strengths, vectors, learned, own)
    judge, seed = ranker.from_document(learned.ranker), settings.run.seed + as_of.toordinal()
    lists = serving.recommend(users, goods, judge, own, seed)
    written = tables.replace_day(lists.withColumn("as_of_on", day), settings, tables.ITEM_RECOMMENDATIONS, as_of)
    every = tables.read_or_empty(spark, settings, tables.PROMOTIONS)
    offered = eligibility.open_promotions(every, as_of, settings.offers.horizon_days)
    segments = tables.read_or_empty(spark, settings, tables.USER_PROFILES).where(F.col("as_of_on") == day)
    few = promotions.candidates_of(users, goods, judge, offered, context.scopes(offered, shop.items), segments, own)
    proposed = tables.replace_day(few.withColumn("as_of_on", day), settings, tables.PROMOTION_RECOMMENDATIONS, as_of)
    recalls = recall.of_clusters(users, goods, own, seed)
    figures: dict[str, float | int | str] = {"recommender_version": version, "promotion_candidates": proposed}
    return Outcome(rows_out=written + proposed, figures={**figures, **recalls})


if __name__ == "__main__":
    launch.main(run)
