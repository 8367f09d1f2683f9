"""From events to profiles by the jobs themselves: every user is judged, and a second run changes nothing."""

from dataclasses import replace
from datetime import date

import pytest
from job_files import job
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from behaviour_builder import PROFILED_BY, busy_shop, store
from places import AS_PEOPLE_RUN_IT, copied
from promoloop import profiles, registry, session, tables
from promoloop.errors import UserError
from promoloop.settings import Settings

WRITTEN = (tables.USER_FEATURES, tables.ITEM_FEATURES, tables.USER_PROFILES)


def hashes(spark: SparkSession, settings: Settings) -> dict[str, int]:
    return {table.name: tables.content_hash(tables.read(spark, settings, table)) for table in WRITTEN}


@pytest.mark.slow
def test_every_user_is_judged_and_a_second_run_changes_nothing(spark: SparkSession, profiled: Settings, settings: Settings) -> None:
    copied(profiled, settings)
    first = hashes(spark, settings)
    judged = tables.read(spark, settings, tables.USER_PROFILES)
    summary = judged.agg(
        F.count("*"),
        F.count_distinct("user_id"),
        F.count_if((F.col("buy_probability") > 0) & (F.col("buy_probability") < 1)),
        F.count_if(F.col("price_sensitivity").between(0, 1)),
        F.count_if(F.col("segment").isin(*profiles.SEGMENTS)),
        F.count("preferred_brand"),
        F.count("preferred_category"),
    ).first()
    assert tuple(summary) == (240,) * 7
    versions = judged.select("model_versions").first()[0]
    cards = registry.cards(settings)
    with session.options(spark, AS_PEOPLE_RUN_IT):  # plans made once, on one partition, gave the first
        for step in PROFILED_BY:
            job(step).run(spark, settings)
    assert hashes(spark, settings) == first
    assert registry.cards(settings) == cards
    assert {card["name"]: card["version"] for card in cards} == versions
    tomorrow = settings.model_copy(update={"run": settings.run.model_copy(update={"as_of": date(2026, 3, 3)})})
    with pytest.raises(UserError, match="user_features holds nothing of 2026-03-03: run build_features first"):
        job("score_profiles").run(spark, tomorrow)
    assert hashes(spark, settings) == first


def test_scoring_before_training_names_the_job(spark: SparkSession, settings: Settings) -> None:
    shop = busy_shop(spark, users=2)
    tables.replace_day(
        shop.users.limit(0).select(*(F.lit(None).cast(c.type).alias(c.name) for c in tables.USER_FEATURES.columns)),
        settings,
        tables.USER_FEATURES,
        settings.run.as_of,
    )
    with pytest.raises(UserError, match="run train_profiles first"):
        job("score_profiles").run(spark, settings)


def test_an_empty_log_is_one_line(spark: SparkSession, settings: Settings) -> None:
    shop = busy_shop(spark, users=2)
    store(replace(shop, events=shop.events.limit(0)), settings)
    assert job("build_features").run(spark, settings).figures["users"] == 2
    with pytest.raises(UserError, match="table events holds nothing before 2026-03-02"):
        job("train_profiles").run(spark, settings)
