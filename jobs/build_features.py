"""events, users, items, promotions -> user_features, item_features."""

from pyspark.sql import SparkSession

from promoloop import features, launch, tables
from promoloop.launch import Outcome
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Describe every user and item by what was known when as_of began."""
    as_of, own = settings.run.as_of, settings.features
    events = tables.read(spark, settings, tables.EVENTS)
    users = tables.read(spark, settings, tables.USERS)
    items = tables.read(spark, settings, tables.ITEMS)
    promotions = tables.read(spark, settings, tables.PROMOTIONS)
    user_features = features.per_user(events, users, items, promotions, [as_of], own.lookback_days, own.kept_tastes)
    described = tables.replace_day(user_features, settings, tables.USER_FEATURES, as_of)
    item_features = features.per_item(events, items, as_of, own.lookback_days)
    items_described = tables.replace_day(item_features, settings, tables.ITEM_FEATURES, as_of)
    return Outcome(rows_out=described + items_described, figures={"users": described, "items": items_described})


if __name__ == "__main__":
    launch.main(run)
