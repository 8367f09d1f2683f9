"""Regressions against rows made with known coefficients, and the ledger read as experiments."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.offers import bayes, decisions

VAGUE = {"one": bayes.Prior(0, 10), "x": bayes.Prior(0, 10)}


def _rows(spark: SparkSession, n: int = 4000) -> DataFrame:
    rng = np.random.default_rng(11)
    x = rng.normal(size=n)
    is_bought = rng.random(n) < 1 / (1 + np.exp(-(-1 + 0.8 * x)))
    y = 2 - 0.5 * x + rng.normal(size=n)
    return spark.createDataFrame(pd.DataFrame({"x": x, "y": y, "bought": is_bought.astype(float), "fold": np.arange(n) % 2})).cache()


def test_coefficients_are_found_within_their_own_errors(spark: SparkSession) -> None:
    rows, design = _rows(spark), {"one": F.lit(1.0), "x": F.col("x")}
    for fits, truth in (
        (bayes.linear(rows, design, F.col("y"), F.lit(1.0), VAGUE), (2, -0.5)),
        (bayes.logistic(rows, design, F.col("bought"), VAGUE), (-1, 0.8)),
    ):
        error = np.sqrt(np.diag(fits.all.covariance))
        assert np.all(np.abs(fits.all.mean - np.array(truth)) < 3.5 * error)
        assert np.all(error < 0.06)
        assert (fits.all.rows, fits.without[0].rows, fits.without[1].rows) == (4000, 2000, 2000)


def test_a_fold_does_not_teach_the_fit_it_is_judged_by(spark: SparkSession) -> None:
    rows, design = _rows(spark, 200), {"one": F.lit(1.0)}
    spoiled = rows.withColumn("y", F.when(F.col("fold") == 0, F.col("y") + 100).otherwise(F.col("y")))
    fits = bayes.linear(spoiled, design, F.col("y"), F.lit(1.0), {"one": bayes.Prior(0, 10)})
    assert fits.without[0]["one"] == pytest.approx(2, abs=0.4)
    assert fits.without[1]["one"] == pytest.approx(102, abs=2)


def test_no_rows_leave_the_prior(spark: SparkSession) -> None:
    rows, design = _rows(spark, 10).limit(0), {"one": F.lit(1.0), "x": F.col("x")}
    believed = {"one": bayes.Prior(0.7, 0.2), "x": bayes.Prior(-0.1, 0.5)}
    for fits in (
        bayes.linear(rows, design, F.col("y"), F.lit(1.0), believed),
        bayes.logistic(rows, design, F.col("bought"), believed),
    ):
        assert fits.all.mean == pytest.approx([0.7, -0.1])
        assert np.sqrt(np.diag(fits.all.covariance)) == pytest.approx([0.2, 0.5])


def test_the_ledger_is_a_series_of_experiments(spark: SparkSession) -> None:
    """Planned 0.8 : 0.2; explorers drew p, r or none with 0.02 each; a past campaign's explored share its controls."""
    ids = "offer_id string, run_id string, promotion_id string, arm string, is_sent boolean, propensity double"
    schema = f"{ids}, valid_from_at timestamp, valid_until_at timestamp"
    day = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        ("1", "own", "p", "treatment", True, 0.8), ("2", "own", "p", "control", False, 0.2),
        ("3", "own", "p", "explore", True, 0.02), ("4", "own", "r", "explore", True, 0.02), ("5", "own", None, "explore", False, 0.02),
        ("6", "past", "q", "treatment", True, 0.5), ("7", "past", "q", "explore", True, 0.1), ("8", "past", "q", "control", False, 0.4),
        ("9", "targeted", "q", "treatment", True, None),
    ]  # fmt: skip
    offers = spark.createDataFrame([(*row, day, day + timedelta(days=7)) for row in rows], schema)
    found = {row.offer_id: row for row in decisions.add_assignment(offers).collect()}
    assert found["1"].e == found["2"].e == pytest.approx(0.8)
    assert found["5"].promotion_id in ("p", "r")
    paired = found["3"] if found["5"].promotion_id == "p" else found["4"]
    assert paired.e == found["5"].e == pytest.approx(0.02 / 0.03)  # its 0.02 is shared by the two promotions tried
    assert [found[i].e for i in "678"] == pytest.approx([0.6, 0.6, 0.6])
    assert found["9"].e is None
    assert not found["9"].is_randomised

    # the log ends in the middle of a run, after the window of p: explorers of p are compared with those sent nothing that stand for p
    until = {"p": day + timedelta(days=7), "r": day + timedelta(days=20), None: day + timedelta(days=20)}
    half = [("10", "half", "p", "explore", True, 0.02), ("11", "half", "r", "explore", True, 0.02)]
    half += [(f"{number}", "half", None, "explore", False, 0.02) for number in range(12, 36)]
    early = [("before", "past", "q", "treatment", True, 0.5, day - timedelta(days=1), day + timedelta(days=6))]
    known = decisions.is_covered((day.date(), until["p"].date()))
    ledger = spark.createDataFrame([*((*row, day, until[row[2]]) for row in half), *early], schema)
    rest = {row.offer_id: row for row in decisions.add_assignment(ledger, known).collect()}
    assert {"10"} < set(rest) < {row[0] for row in half} - {"11"}
    assert {(row.arm_group, row.promotion_id, round(row.e, 6)) for row in rest.values()} == {("explore", "p", round(2 / 3, 6))}
    assert decisions.add_assignment(ledger, decisions.is_covered(None)).isEmpty()
