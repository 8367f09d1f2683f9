"""Playing offers: means are what was expected, intervals those of the law, draws a matter of user and plan alone."""

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from promoloop.allocation.playing import OFFER, play

_ROWS = 2000


def offers(spark: SparkSession, deviation: float = 0.0) -> DataFrame:
    """`many`: 2,000 offers redeemed with 0.25, cost 1 and profit 2 expected. `sure`: ten that are always redeemed for 3."""
    rows = [(f"u{n}", "many", 0.25, 1.0, 2.0, deviation) for n in range(_ROWS)] + [(f"s{n}", "sure", 1.0, 3.0, 1.0, 0.0) for n in range(10)]
    return spark.createDataFrame(rows, ", ".join(f"{name} {'string' if name.endswith('_id') else 'double'}" for name in OFFER))


def test_means_and_intervals_are_those_of_the_law(spark: SparkSession) -> None:
    """Redemptions are binomial: 500 +- 19.4; each spends 4 and earns 8; Z is left out."""
    played = play(offers(spark), "plan", 600, 0.5)
    assert played.promotions == ("many", "sure")
    assert played.offers.tolist() == [_ROWS, 10]
    redemptions, spend, profit = (played.range(name, "many") for name in ("redemptions", "spend", "profit"))
    assert redemptions.mean == pytest.approx(500, abs=3)
    assert np.std(played.of("redemptions", "many")) == pytest.approx(np.sqrt(_ROWS * 0.25 * 0.75), rel=0.12)
    assert spend.mean == pytest.approx(4 * redemptions.mean)
    assert profit.mean == pytest.approx(8 * redemptions.mean)
    assert (spend.low, spend.high) == (4 * redemptions.low, 4 * redemptions.high)
    assert played.range("spend", "sure").low == played.range("spend", "sure").high == 30
    assert played.range("profit").mean == pytest.approx(profit.mean + 10)


def test_the_chance_to_exceed_a_budget_is_that_of_the_spend(spark: SparkSession) -> None:
    played = play(offers(spark), "plan", 600, 0.5)
    assert played.chance_over(2000, "many") == pytest.approx(0.5, abs=0.08)
    assert played.chance_over(2000 + 4 * 19.36, "many") == pytest.approx(0.159, abs=0.06)
    assert (played.chance_over(30, "sure"), played.chance_over(29.9, "sure")) == (0.0, 1.0)


def test_what_is_not_known_of_the_model_widens_the_interval_of_all(spark: SparkSession) -> None:
    """A standard error of 1 per offer: alone it averages out (sd 90 of 4,000), shared it does not (2,000 of 4,000)."""
    alone, shared = (np.std(play(offers(spark, 1.0), "plan", 400, share).of("profit", "many")) for share in (0.0, 1.0))
    assert alone == pytest.approx(np.sqrt(_ROWS * (8**2 * 0.1875 + 4**2 * 0.25)), rel=0.15)
    assert shared == pytest.approx(_ROWS, rel=0.15)


def test_draws_do_not_depend_on_how_rows_lie(spark: SparkSession) -> None:
    rows = offers(spark, 0.5)
    one, other = (play(rows.repartition(count), "plan", 50, 0.5) for count in (1, 3))
    for name in ("redemptions", "spend", "profit"):
        assert np.allclose(one.of(name), other.of(name), rtol=0, atol=1e-5)
    assert not np.allclose(one.of("spend"), play(rows, "another plan", 50, 0.5).of("spend"))
