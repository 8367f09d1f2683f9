"""users, items, promotions, events, past_offers, offers, user_profiles -> campaign_designs, design_resources."""

from dataclasses import replace

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import allocation, launch, tables
from promoloop.allocation import design
from promoloop.allocation.telling import describe
from promoloop.frames import settle
from promoloop.launch import Outcome
from promoloop.offers import arms, eligibility, log, scores
from promoloop.offers.log import Shop
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Breed designs of the open promotions on a sample of users, and solve the chosen one in full."""
    as_of, run_id, own, asked = settings.run.as_of, settings.run.run_id, settings.allocation, settings.design
    users = tables.read(spark, settings, tables.USERS)
    items = tables.read(spark, settings, tables.ITEMS)
    promotions = tables.read(spark, settings, tables.PROMOTIONS)
    events = tables.read(spark, settings, tables.EVENTS)
    segments = tables.read(spark, settings, tables.USER_PROFILES).where(F.col("as_of_on") == F.lit(as_of))
    before = eligibility.midnight(as_of)
    offers = tables.read_all(spark, settings, tables.PAST_OFFERS, tables.OFFERS)
    lately = allocation.recent(offers, promotions, as_of, own)
    promotions = allocation.left_of(promotions, offers, as_of)
    offers = offers.where(F.col("issued_at") < before)  # sent before, also of what begins later
    shop = Shop(users, items, promotions, log.known(events, items, offers, settings.offers.assumed_margin, before))
    learned = scores.train(offers, shop, as_of, settings.offers)
    ground = design.prepared(shop, learned, segments, lately, settings)
    front = design.bred(ground, asked, settings.run.seed)
    chosen = design.chosen(front, asked.choose)
    rows = spark.createDataFrame(design.told(ground, front, chosen, run_id), tables.CAMPAIGN_DESIGNS.schema)
    written = tables.replace_run(rows, settings, tables.CAMPAIGN_DESIGNS, run_id)
    promotions_run = design.promotions_of(ground, front.numbered(chosen))
    designed = spark.createDataFrame([tuple(row[n] for n in promotions.columns) for row in promotions_run], tables.PROMOTIONS.schema)
    scored = scores.per_pair(learned, offers, replace(shop, promotions=designed), segments, as_of, settings.offers)
    shares, scratch = settings.execution, allocation.blocks_folder(settings, is_design=True)
    is_left_out = arms.is_left_out(F.col("user_id"), run_id, shares.explore_share, shares.holdout_share)
    planned = settle(scored.where(~is_left_out))
    solved = design.solved(planned, lately, promotions_run, own, ground.money, shares.explore_reserve, scratch, settings.run.seed)
    proof = spark.createDataFrame(describe(solved.problem, solved.certificate, run_id), tables.DESIGN_RESOURCES.schema)
    tables.replace_run(proof, settings, tables.DESIGN_RESOURCES, run_id)
    return Outcome(rows_in=learned.redeems.rows, rows_out=written, figures=design.figures(front, chosen, solved))


if __name__ == "__main__":
    launch.main(run)
