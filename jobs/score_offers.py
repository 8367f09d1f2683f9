"""users, items, promotions, events, past_offers, offers, user_profiles, promotion_recommendations -> offer_scores, response model."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import launch, registry, tables
from promoloop.launch import Outcome
from promoloop.offers import log, response, scores
from promoloop.offers.log import Shop
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Learn what offers change from those made so far, then value every eligible (user, promotion)."""
    as_of = settings.run.as_of
    users = tables.read(spark, settings, tables.USERS)
    items = tables.read(spark, settings, tables.ITEMS)
    promotions = tables.read(spark, settings, tables.PROMOTIONS)
    events = tables.read(spark, settings, tables.EVENTS)
    segments = tables.read(spark, settings, tables.USER_PROFILES).where(F.col("as_of_on") == F.lit(as_of))
    offers = tables.read_all(spark, settings, tables.PAST_OFFERS, tables.OFFERS)
    before = F.lit(as_of).cast("timestamp")
    offers = offers.where(F.col("issued_at") < before)  # a rerun must not learn from its own plan; what was issued may begin later
    shop = Shop(users, items, promotions, log.known(events, items, offers, settings.offers.assumed_margin, before))
    learned = scores.train(offers, shop, as_of, settings.offers)
    few = tables.read_or_empty(spark, settings, tables.PROMOTION_RECOMMENDATIONS).where(F.col("as_of_on") == F.lit(as_of))
    scored = scores.per_pair(learned, offers, shop, segments, as_of, settings.offers, few)
    written = tables.replace_day(scored, settings, tables.OFFER_SCORES, as_of)
    _keep(learned, settings)
    return Outcome(rows_in=learned.redeems.rows, rows_out=written, figures=learned.figures)


def _keep(learned: response.Response, settings: Settings) -> None:
    """Into the registry, without counts and means of so few that they would tell of one."""
    fewest = settings.privacy.k_anonymity
    numbers = {name: value for name, value in learned.figures.items() if not isinstance(value, str)}
    figures = {name: value for name, value in numbers.items() if isinstance(value, float) or value == 0 or value >= fewest}
    about: registry.Params = {
        "kind": "Bayesian regression",
        "effects_rest_on": learned.evidence,
        "history_days": settings.offers.history_days,
    }
    document = {part: content for part, content in learned.document.items() if part != "means" or learned.redeems.rows >= fewest}
    registry.log_document(settings, response.NAME, document, figures, about, {"effects_rest_on": learned.evidence})


if __name__ == "__main__":
    launch.main(run)
