"""A plan made again from pinned versions, after the tables went on."""

from datetime import date

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from places import copied
from promoloop import tables
from promoloop.cli import jobs, reproduce
from promoloop.errors import UserError
from promoloop.settings import Settings

RUN = "plan-2026-03-02"


@pytest.mark.slow
def test_a_plan_is_made_again_from_what_it_was_made_of(spark: SparkSession, scored: Settings, settings: Settings) -> None:
    copied(scored, settings)
    for name in ("allocate_promotions", "issue_offers"):
        jobs.load(name)(spark, settings)
    users, items = (tables.read(spark, scored, table) for table in (tables.USERS, tables.ITEMS))
    later = settings.model_copy(update={"run": settings.run.model_copy(update={"as_of": date(2026, 3, 16)})})
    tables.merge(users.withColumn("has_consent", F.lit(False)), later, tables.USERS)  # life goes on
    tables.merge(items.withColumn("unit_cost", F.col("price")), later, tables.ITEMS)

    made = reproduce.again(spark, settings, RUN, None)
    compared = made.compared
    assert made.is_by_same_settings
    assert made.left_out == []
    assert {one.table for one in compared} == {"offer_scores", "allocations", "allocation_resources", "offers"}
    assert [one.table for one in compared if one.recorded != one.reproduced] == []
    root = f"{settings.paths.out}/reproduced/{RUN}/tables"
    there = settings.model_copy(update={"paths": settings.paths.model_copy(update={"tables": root})})
    assert not tables.read(spark, there, tables.USERS).where("has_consent").isEmpty()  # the users it was made for, not those of today
    assert tables.read(spark, settings, tables.USERS).where("has_consent").isEmpty()
    other = settings.model_copy(update={"allocation": settings.allocation.model_copy(update={"budget": 1.0})})
    assert tables.settings_mark(other) != tables.settings_mark(settings) == tables.settings_mark(there)


def test_a_run_that_never_was_is_named(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(UserError, match="no table was written in run plan-2020-01-01"):
        reproduce.again(spark, settings, "plan-2020-01-01", None)
    with pytest.raises(UserError, match="a plan is called plan-YYYY-MM-DD"):
        reproduce.again(spark, settings, "plan-2020-13-01", None)
