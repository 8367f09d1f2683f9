from datetime import date
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from builders import rows
from promoloop import tables
from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.tables import EVALUATIONS, ITEM_FEATURES, ITEMS, OFFER_SCORES, OFFERS, RAW_EVENTS

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)


def scores(spark: SparkSession, *stated: dict[str, Any]) -> DataFrame:
    return rows(spark, OFFER_SCORES, *stated)


def test_replacing_a_day_leaves_other_days_and_repeats_to_the_same(spark: SparkSession, settings: Settings) -> None:
    today = scores(spark, {"user_id": "a", "as_of_on": DAY}, {"user_id": "b", "as_of_on": DAY})
    assert tables.replace_day(today, settings, OFFER_SCORES, DAY) == 2
    tables.replace_day(scores(spark, {"user_id": "c", "as_of_on": NEXT}), settings, OFFER_SCORES, NEXT)
    before = tables.content_hash(tables.read(spark, settings, OFFER_SCORES))
    tables.replace_day(today, settings, OFFER_SCORES, DAY)
    after = tables.read(spark, settings, OFFER_SCORES)
    assert tables.content_hash(after) == before
    assert sorted(row.user_id for row in after.collect()) == ["a", "b", "c"]


def test_replacing_runs_leaves_others_whatever_their_ids_hold(spark: SparkSession, settings: Settings) -> None:
    odd = ["it's", "back\\slash\\'", "${spark.app.name}", 'quote"']
    of_all = rows(spark, EVALUATIONS, *({"run_id": run, "metric": metric} for run in (*odd, "its") for metric in ("old", "older")))
    tables.replace_table(of_all, settings, EVALUATIONS)
    new = rows(spark, EVALUATIONS, *({"run_id": run, "metric": "new"} for run in odd[1:]))
    tables.replace_runs(new, settings, EVALUATIONS, odd)
    found = sorted((row.run_id, row.metric) for row in tables.read(spark, settings, EVALUATIONS).collect())
    assert found == sorted([*((run, "new") for run in odd[1:]), ("its", "old"), ("its", "older")])
    assert tables.replace_runs(new.limit(0), settings, EVALUATIONS, []) == 0


def test_times_take_eight_bytes(spark: SparkSession, settings: Settings) -> None:
    tables.append_once(rows(spark, RAW_EVENTS, {"batch_id": "b"}), settings, RAW_EVENTS, "test", 0)
    place = tables.path_of(settings, RAW_EVENTS)
    assert place is not None
    stored = [pq.read_metadata(part).schema for part in place.glob("*.parquet")]
    assert {schema.column(schema.names.index("occurred_at")).physical_type for schema in stored} == {"INT64"}


def test_a_row_of_another_day_is_refused_and_nothing_changes(spark: SparkSession, settings: Settings) -> None:
    tables.replace_day(scores(spark, {"user_id": "a", "as_of_on": DAY}), settings, OFFER_SCORES, DAY)
    with pytest.raises(Exception, match=r"(?i)replacewhere|DATA_FILE|constraint"):
        tables.replace_day(scores(spark, {"user_id": "b", "as_of_on": NEXT}), settings, OFFER_SCORES, DAY)
    assert [row.user_id for row in tables.read(spark, settings, OFFER_SCORES).collect()] == ["a"]


def test_merge_deletes_what_is_gone(spark: SparkSession, settings: Settings) -> None:
    first = rows(spark, ITEMS, {"item_id": "i1"}, {"item_id": "i2"}).withColumn("is_gone", F.col("item_id") == "i2")
    assert tables.merge(first, settings, ITEMS, gone="is_gone") == 1
    tables.merge(rows(spark, ITEMS, {"item_id": "i2", "brand": "old"}), settings, ITEMS)
    then = rows(spark, ITEMS, *({"item_id": f"i{number}", "brand": "new"} for number in range(1, 5)))
    flagged = then.withColumn("is_gone", F.col("item_id").isin("i1", "i4"))
    assert tables.merge(flagged, settings, ITEMS, gone="is_gone") == 2
    assert {(row.item_id, row.brand) for row in tables.read(spark, settings, ITEMS).collect()} == {("i2", "new"), ("i3", "new")}


def test_merge_inserts_and_updates_by_key(spark: SparkSession, settings: Settings) -> None:
    tables.merge(rows(spark, ITEMS, {"item_id": "i1", "brand": "old"}), settings, ITEMS)
    assert tables.merge(rows(spark, ITEMS, {"item_id": "i1", "brand": "new"}, {"item_id": "i2"}), settings, ITEMS) == 2
    assert {row.item_id: row.brand for row in tables.read(spark, settings, ITEMS).collect()} == {"i1": "new", "i2": None}


def test_merge_of_some_columns_leaves_the_others(spark: SparkSession, settings: Settings) -> None:
    tables.merge(rows(spark, ITEMS, {"item_id": "i1", "brand": "acme"}), settings, ITEMS, columns=["item_id", "brand"])
    said = rows(spark, ITEMS, {"item_id": "i1", "brand": None, "stock": 5}, {"item_id": "i2", "stock": 7})
    tables.merge(said, settings, ITEMS, columns=["item_id", "stock"])
    found = {row.item_id: (row.brand, row.stock) for row in tables.read(spark, settings, ITEMS).collect()}
    assert found == {"i1": ("acme", 5), "i2": (None, 7)}


def test_insert_only_merge_keeps_the_first(spark: SparkSession, settings: Settings) -> None:
    tables.merge(rows(spark, ITEMS, {"item_id": "i1", "brand": "old"}), settings, ITEMS, is_insert_only=True)
    assert tables.merge(rows(spark, ITEMS, {"item_id": "i1", "brand": "new"}), settings, ITEMS, is_insert_only=True) == 0
    assert tables.read(spark, settings, ITEMS).first().brand == "old"  # type: ignore[union-attr]


def test_a_held_table_is_read_anew_once_it_has_a_new_version(spark: SparkSession, settings: Settings) -> None:
    tables.merge(rows(spark, ITEMS, {"item_id": "i1", "stock": 3}), settings, ITEMS)
    with tables.held(spark, settings, ITEMS) as read:
        first = read()
        assert [row.stock for row in first.collect()] == [3]
        assert read() is first
        tables.merge(rows(spark, ITEMS, {"item_id": "i1", "stock": 0}), settings, ITEMS)
        second = read()
        assert [row.stock for row in second.collect()] == [0]
        assert [row.stock for row in tables.read(spark, settings, ITEMS).collect()] == [0]
        assert not first.is_cached
        assert second.is_cached
    assert not second.is_cached


def test_append_once_skips_a_version_already_there(spark: SparkSession, settings: Settings) -> None:
    batch = rows(spark, RAW_EVENTS, {"row_number": 0}, {"row_number": 1})
    assert tables.append_once(batch, settings, RAW_EVENTS, "test", 1) == 2
    assert tables.append_once(batch, settings, RAW_EVENTS, "test", 1) == 0
    assert tables.append_once(batch.limit(1), settings, RAW_EVENTS, "test", 2) == 1


def test_rows_that_do_not_fit_are_refused_by_name(spark: SparkSession, settings: Settings) -> None:
    good = scores(spark, {"user_id": "a"})
    for wrong, named in [
        (good.drop("p_redeem"), "p_redeem is missing"),
        (good.withColumn("extra", F.lit(1)), "extra is unknown"),
        (good.withColumn("p_redeem", F.lit("0.5")), "p_redeem is string, not double"),
    ]:
        with pytest.raises(UserError, match=named):
            tables.replace_day(wrong, settings, OFFER_SCORES, DAY)


def test_a_null_in_a_required_column_is_refused(spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(Exception, match=r"(?i)not null|NULL"):
        tables.replace_day(scores(spark, {"user_id": "a"}).withColumn("segment", F.lit(None).cast("string")), settings, OFFER_SCORES, DAY)


def test_a_missing_table_names_the_job_that_writes_it(spark: SparkSession, settings: Settings) -> None:
    assert not tables.exists(spark, settings, OFFERS)
    with pytest.raises(UserError, match="run issue_offers first"):
        tables.read(spark, settings, OFFERS)


def test_content_hash_sees_content_not_order(spark: SparkSession) -> None:
    a = scores(spark, {"user_id": "a"}, {"user_id": "b"})
    assert tables.content_hash(a) == tables.content_hash(a.orderBy(F.desc("user_id")).repartition(3))
    assert tables.content_hash(a) != tables.content_hash(scores(spark, {"user_id": "a"}, {"user_id": "a"}))
    assert tables.content_hash(a) != tables.content_hash(a.union(a))


def test_item_features_can_be_created_empty(spark: SparkSession, settings: Settings) -> None:
    assert tables.replace_day(rows(spark, ITEM_FEATURES), settings, ITEM_FEATURES, DAY) == 0


def test_vacuum_leaves_the_sessions_options_as_they_were(spark: SparkSession, settings: Settings) -> None:
    mine, unset = "spark.sql.sources.parallelPartitionDiscovery.parallelism", "spark.databricks.delta.retentionDurationCheck.enabled"
    tables.merge(rows(spark, tables.ITEMS, {"item_id": "i1"}), settings, tables.ITEMS)
    spark.conf.set(mine, "5")
    try:
        tables.vacuum(spark, settings, tables.ITEMS)
        assert (spark.conf.get(mine), spark.conf.get(unset, None)) == ("5", None)
    finally:
        spark.conf.unset(mine)
