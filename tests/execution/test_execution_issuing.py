"""Arms, propensities and reserves of what is issued, over many hashed draws."""

import pytest
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

import builders
from promoloop import privacy, tables
from promoloop.execution import codes, exploring, issuing
from promoloop.settings import Settings

RUN = "plan-2026-03-02"


@pytest.fixture(scope="module")
def scores(spark: SparkSession) -> DataFrame:
    """4000 users, each eligible for p1 (cost 1) and p2 (cost 2); every third for p2 alone."""
    pairs = spark.range(4000).crossJoin(spark.createDataFrame([("p1", 1.0), ("p2", 2.0)], "promotion_id string, expected_cost double"))
    return pairs.where("promotion_id = 'p2' or id % 3 > 0").select(
        F.format_string("u%05d", "id").alias("user_id"), "promotion_id", "expected_cost", F.lit(3.0).alias("expected_profit"),
        F.lit("email").alias("channel"),
    )  # fmt: skip


def _resources(spark: SparkSession, **capacity: float) -> DataFrame:
    named = [{"run_id": RUN, "resource": name.replace("_", ":"), "capacity": value} for name, value in capacity.items()]
    return builders.rows(spark, tables.ALLOCATION_RESOURCES, *named)


def test_explorers_draw_each_choice_with_the_logged_propensity(spark: SparkSession, scores: DataFrame) -> None:
    explored = exploring.draw(scores, _resources(spark, budget=1e9), RUN, 0.4, 0.1).cache()
    groups = explored.join(scores.groupBy("user_id").agg(F.count("*").alias("k")), "user_id").groupBy("k", "promotion_id")
    found = {(row.k, row.promotion_id): row for row in groups.agg(F.count("*").alias("n"), F.avg("propensity").alias("q")).collect()}
    assert set(found) == {(2, None), (2, "p1"), (2, "p2"), (1, None), (1, "p2")}
    for (k, _), row in found.items():
        users = 2666 if k == 2 else 1334
        assert row.q == pytest.approx(0.4 / (k + 1))
        assert abs(row.n / users - row.q) < 4 * (row.q * (1 - row.q) / users) ** 0.5


def test_the_reserve_holds_and_the_propensity_knows_it(spark: SparkSession, scores: DataFrame) -> None:
    """Reserve 0.1 of the capacity leaves a ninth of what the plan had: 20 offers of p1, 100.00 for p2, 110.00 in all."""
    limits = _resources(spark, budget=990.0, budget_tea_p2=900.0, inventory_tea_p1=180.0)
    named = scores.withColumn("promotion_id", F.concat(F.lit("tea:"), "promotion_id"))
    explored = exploring.draw(named, limits, RUN, 0.5, 0.1).withColumn("promotion_id", F.substr("promotion_id", F.lit(5))).cache()
    given = explored.groupBy("promotion_id").agg(F.count("*").alias("n"), F.sum("expected_cost").alias("c"))
    used = {row.promotion_id: row for row in given.collect()}
    assert 15 < used["p1"].n <= 20
    assert 80 < used["p2"].c <= 100
    assert used["p1"].c + used["p2"].c <= 110
    total = explored.agg(F.sum(1 / F.col("propensity") * F.col("promotion_id").isNull().cast("int"))).first()
    assert total is not None
    assert total[0] == pytest.approx(4000, rel=0.1)  # Horvitz-Thompson: the weighted 'none' stand for all users
    weighted = explored.where("promotion_id = 'p2'").agg(F.sum(1 / F.col("propensity"))).first()
    assert weighted is not None
    assert weighted[0] == pytest.approx(4000, rel=0.4)


def test_planned_users_are_treated_or_withheld_and_explorers_never_planned(
    spark: SparkSession, scores: DataFrame, settings: Settings
) -> None:
    plan = scores.where("promotion_id = 'p2'").withColumn("run_id", F.lit(RUN))
    own = settings.execution
    decisions = issuing.assign(plan, scores, scores, _resources(spark, budget=1e9), RUN, own).cache()
    by_arm = decisions.groupBy("arm").agg(F.count("*").alias("n"), F.avg("propensity").alias("q"), F.max("is_sent").alias("sent"))
    counts: dict[str, Row] = {row.arm: row for row in by_arm.collect()}
    assert decisions.count() == decisions.select("user_id").distinct().count() == 4000
    assert counts["control"].q == pytest.approx((1 - own.explore_share) * own.control_share)
    assert counts["treatment"].q == pytest.approx((1 - own.explore_share) * (1 - own.control_share))
    assert counts["control"].n == pytest.approx(4000 * counts["control"].q, rel=0.15)
    assert not counts["control"].sent
    assert decisions.where("arm = 'explore'").count() == pytest.approx(4000 * own.explore_share, rel=0.3)


def test_a_code_survives_no_slip(spark: SparkSession) -> None:
    offers = spark.range(300).select(F.col("id").cast("string").alias("offer_id"))
    issued = offers.select(codes.issue(F.col("offer_id"), privacy.Key((b"k" * 32,))).alias("code")).cache()
    other = offers.select(codes.issue(F.col("offer_id"), privacy.Key((b"l" * 32,))).alias("code"))
    assert issued.distinct().count() == 300
    assert issued.intersect(other).count() == 0

    def part(start: int, length: int = 1) -> Column:
        return F.substring("code", start, length)

    slips = issued.select(
        codes.is_valid(F.col("code")).alias("right"),
        codes.is_valid(F.concat(F.translate(part(1), codes.ALPHABET, codes.ALPHABET[1:] + "2"), part(2, 12))),
        codes.is_valid(F.concat(part(1, 3), part(5), part(4), part(6, 8))),
        part(4) == part(5),
    )
    rows = slips.collect()
    assert all(row[0] for row in rows)
    assert not any(row[1] for row in rows)
    assert not any(row[2] for row in rows if not row[3])
