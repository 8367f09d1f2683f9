"""The grocer's mapping on rows of its shape: fuel, coupons, households known and unknown, campaigns that were targeted."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from promoloop import tables
from promoloop.cli import jobs
from promoloop.settings import Settings

_TRANSACTIONS = (
    "household_id bigint, store_id bigint, basket_id bigint, product_id bigint, quantity bigint, sales_value double, retail_disc double, "
    "coupon_disc double, coupon_match_disc double, week bigint, transaction_timestamp timestamp"
)


def at(hour: int) -> datetime:
    return datetime(2017, 5, 1, hour)


@pytest.fixture
def journey(spark: SparkSession, tmp_path: Path) -> Path:
    folder = tmp_path / "journey" / "data"

    def put(name: str, schema: str, *rows: tuple[object, ...]) -> None:
        spark.createDataFrame(list(rows), schema).coalesce(1).write.parquet(str(folder / f"{name}.folder"))
        (part,) = (folder / f"{name}.folder").glob("part-*.parquet")
        part.rename(folder / f"{name}.parquet")

    put(
        "transactions",
        _TRANSACTIONS,
        (1, 9, 100, 500, 2, 5.0, 0.0, 0.0, 0.0, 17, at(10)),
        (1, 9, 100, 501, 12000, 30.0, 0.0, 0.0, 0.0, 17, at(10)),  # fuel, in thousandths of a gallon
        (2, 9, 101, 500, 0, 0.0, 0.0, 0.0, 0.0, 17, at(11)),  # nothing was bought
        (2, 9, 102, 500, 1, 2.4, 0.1, 0.5, 0.0, 17, at(12)),
    )
    products = "product_id bigint, manufacturer_id bigint, department string, brand string, product_category string, product_type string"
    put(
        "products",
        f"{products}, package_size string",
        (500, 69, "GROCERY", "Private", "BREAD", "BREAD: WHITE", "16 OZ"),
        (501, 1, "FUEL", "National", None, None, None),
    )
    known = "household_id bigint, age string, income string, home_ownership string, marital_status string, household_size string"
    put("demographics", f"{known}, household_comp string, kids_count string", (1, "19-24", "35-49K", None, None, "2", None, "0"))
    put("campaign_descriptions", "campaign_id bigint, campaign_type string, start_date date, end_date date",
        (13, "Type A", date(2017, 8, 8), date(2017, 9, 24)))  # fmt: skip
    put("campaigns", "campaign_id bigint, household_id bigint", (13, 1), (13, 2))
    put("coupon_redemptions", "household_id bigint, coupon_upc bigint, campaign_id bigint, redemption_date date",
        (2, 7, 13, date(2017, 9, 1)))  # fmt: skip
    return folder.parent


def test_the_grocers_files_become_our_tables(spark: SparkSession, settings_with: Callable[..., Settings], journey: Path) -> None:
    settings = settings_with(
        'source.name="completejourney"', f"source.path={journey}", "run.as_of=2017-09-26", "events.max_rejected_share=0.5"
    )
    jobs.load("ingest_events")(spark, settings)
    jobs.load("clean_events")(spark, settings)

    counts = {row.batch_id: row for row in tables.read(spark, settings, tables.BATCHES).collect()}
    taken = counts["transactions"]
    assert (taken.rows_received, taken.rows_accepted, taken.rows_rejected, taken.rows_duplicate) == (4, 3, 1, 0)
    assert taken.reasons["quantity: zero"] == 1
    assert counts["coupon_redemptions"].rows_accepted == 1
    bought = tables.read(spark, settings, tables.EVENTS).where("event_type = 'purchase'").orderBy("item_id", "price").collect()
    assert [(row.item_id, row.quantity, str(row.price)) for row in bought] == [
        ("500", 1, "2.40"),
        ("500", 2, "2.50"),
        ("501", 1, "30.00"),
    ]
    items = {row.item_id: row for row in tables.read(spark, settings, tables.ITEMS).collect()}
    assert (items["500"].category, items["500"].brand, str(items["500"].price)) == ("BREAD", "Private 69", "2.40")
    assert (items["501"].category, items["501"].price) == ("FUEL", None)
    users = {row.age_band: row.income_band for row in tables.read(spark, settings, tables.USERS).collect()}
    assert users == {"18-24": "middle", None: None}

    offers = tables.read(spark, settings, tables.PAST_OFFERS).collect()
    assert {(row.promotion_id, row.propensity, str(row.valid_until_at)) for row in offers} == {("campaign-13", None, "2017-09-25 00:00:00")}
    redeemed = tables.read(spark, settings, tables.EVENTS).where("event_type = 'offer_redeem'").collect()
    assert {row.offer_id for row in redeemed} <= {row.offer_id for row in offers}
    assert all(len(row.offer_id) == 64 for row in offers)  # made of the household, so keyed like it
