"""From a shop and its response model to the ground designs are judged on: a menu of variants, scored for a sample of users."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.allocation.cadence import applied
from promoloop.allocation.design.ground import Ground, ground_of
from promoloop.allocation.design.sampled import collected
from promoloop.errors import UserError
from promoloop.offers import arms, eligibility, response, variants
from promoloop.offers.log import Shop
from promoloop.offers.variants import Levels
from promoloop.settings import Settings


def prepared(shop: Shop, learned: response.Response, segments: DataFrame, lately: DataFrame | None, settings: Settings) -> Ground:
    """The ground of the promotions open on the day, and of the users a plan of that day is for (`lately`: `cadence.recent`).

    Raises UserError where no promotion is open, or where the sample holds nobody to offer one to.
    """
    as_of, horizon, asked = settings.run.as_of, settings.offers.horizon_days, settings.design
    spark = shop.users.sparkSession
    promotions = eligibility.open_promotions(shop.promotions, as_of, horizon)
    listed = [row.asDict() for row in promotions.orderBy("promotion_id").collect()]
    if not listed:
        raise UserError(f"no sound promotion is open within {horizon} days of {as_of}: there is nothing to design")
    levels = Levels(asked.depths, asked.thresholds, asked.days)
    menu = variants.menu(spark, listed, levels, variants.mean_order(shop), as_of + timedelta(days=horizon))
    share = min(1.0, asked.sample_users / max(shop.users.count(), 1))
    shares, run_id = settings.execution, settings.run.run_id
    is_left_out = arms.is_left_out(F.col("user_id"), run_id, shares.explore_share, shares.holdout_share)
    people = variants.drawn(shop.users, run_id, share).where(~is_left_out)
    rows = variants.rows(spark, menu)
    scored = variants.scored(rows, promotions, people, learned, shop, segments, as_of, settings.offers)
    free = applied(scored, promotions, lately, settings.allocation)
    sampled = collected(free, settings.allocation, len(menu), 1 / share)
    if not len(sampled.cell):
        raise UserError("nobody in the sample may get any promotion: set design.sample_users higher")
    return ground_of(sampled, listed, menu, settings.allocation, settings.execution.explore_reserve)
