"""past_offers, offers, events, users, items, promotions, user_profiles, offer_scores (embedded shop: truth_offers) -> evaluations."""

from pyspark.sql import SparkSession

from promoloop import launch, tables
from promoloop.evaluation import evaluations
from promoloop.launch import Outcome
from promoloop.offers import log
from promoloop.offers.log import Shop
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Measure what the offers changed whose window the log covers to its end, past campaigns' and our own."""
    users = tables.read(spark, settings, tables.USERS)
    items = tables.read(spark, settings, tables.ITEMS)
    promotions = tables.read(spark, settings, tables.PROMOTIONS)
    events = tables.read(spark, settings, tables.EVENTS)
    optional = {table.name: spark.createDataFrame([], table.schema) for table in (tables.USER_PROFILES, tables.OFFER_SCORES)}
    optional |= {name: tables.read(spark, settings, table) for name, table in _WANTED.items() if tables.exists(spark, settings, table)}
    offers = tables.read_all(spark, settings, tables.PAST_OFFERS, tables.OFFERS)
    judged, due = evaluations.closed_on(offers, events, settings.evaluation)
    shop = Shop(users, items, promotions, log.known(events, items, offers, settings.offers.assumed_margin))
    profiles, scores, truth = optional["user_profiles"], optional["offer_scores"], optional.get("truth_offers")
    share = settings.execution.explore_share
    measured = evaluations.per_metric(judged, due.log_days, shop, profiles, scores, truth, share, settings.evaluation)
    written = tables.replace_runs(measured, settings, tables.EVALUATIONS, due.run_ids)
    return Outcome(rows_out=written, figures={"log_ends": str(due.log_days and due.log_days[1])})


_WANTED = {table.name: table for table in (tables.USER_PROFILES, tables.OFFER_SCORES, tables.TRUTH_OFFERS)}

if __name__ == "__main__":
    launch.main(run)
