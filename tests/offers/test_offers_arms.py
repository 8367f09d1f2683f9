from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop.offers import arms


def test_arms_take_their_share_and_are_independent(spark: SparkSession) -> None:
    users = spark.range(20_000).select(F.concat(F.lit("u"), "id").alias("user_id"))
    drawn = users.select(
        arms.is_explorer(F.col("user_id"), "plan-1", 0.1).alias("explores"),
        arms.is_control(F.col("user_id"), "plan-1", 0.2).alias("controls"),
        arms.is_explorer(F.col("user_id"), "plan-2", 0.1).alias("explores_next"),
    )
    shares = drawn.select(
        F.avg(F.col("explores").cast("int")),
        F.avg(F.col("controls").cast("int")),
        F.avg((F.col("explores") & F.col("controls")).cast("int")),
        F.avg((F.col("explores") & F.col("explores_next")).cast("int")),
    ).first()
    assert shares is not None
    for share, expected in zip(shares, (0.1, 0.2, 0.02, 0.01), strict=True):
        assert abs(share - expected) < 4 * (expected * (1 - expected) / 20_000) ** 0.5


def test_a_draw_does_not_depend_on_partitioning(spark: SparkSession) -> None:
    users = spark.range(500).select(F.concat(F.lit("u"), "id").alias("user_id"))
    chosen = [
        {row[0] for row in users.repartition(parts).where(arms.is_explorer(F.col("user_id"), "plan-1", 0.3)).collect()} for parts in (1, 5)
    ]
    assert chosen[0] == chosen[1]
    assert 100 < len(chosen[0]) < 200
