"""Estimators against effects that are known because the rows were made with them; many worlds at once, one per run_id."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.evaluation import effects, observed, policies, ranking, subjects

WORLDS, USERS, EFFECT = 200, 240, 1.5


@pytest.fixture(scope="module")
def decisions(spark: SparkSession) -> DataFrame:
    """Profit 2 + x + effect * sent + noise, effect 3 for half of the users and 0 for the others; heavy tails; e = 0.7."""
    rng = np.random.default_rng(3)
    n = WORLDS * USERS
    x, is_keen, is_sent = rng.exponential(2, n), rng.random(n) < 0.5, rng.random(n) < 0.7
    held = 2 + x + rng.standard_exponential(n) - 1
    profit = held + np.where(is_keen, 2 * EFFECT, 0.0) * is_sent
    rows = pd.DataFrame({
        "run_id": [f"w{i // USERS:03d}" for i in range(n)], "user_id": [f"u{i}" for i in range(n)],
        "is_sent": is_sent, "is_randomised": True, "e": 0.7, "offer_id": [f"o{i}" for i in range(n)],
        "past_margin": x, "profit": profit, "revenue": profit * 2, "expected_value": np.where(is_keen, 2.0, 1.0) + rng.random(n) / 10,
        "is_redeemed": is_sent & is_keen, "own_concession": np.where(is_sent & is_keen, 0.5, 0.0),
        "promotion_id": "p", "form": "gift", "segment": None,
        **{f"expected_{y}_{arm}": (2.2 + 0.9 * x + (EFFECT if arm == "sent" else 0)) * (1 + (y == "revenue"))
           for y in ("profit", "revenue") for arm in ("sent", "held")},
    })  # fmt: skip
    rows["segment"] = rows["segment"].astype("string")
    return spark.createDataFrame(rows).transform(ranking.add_top).transform(effects.per_scope).cache()


def test_intervals_cover_the_effect_and_adjusting_narrows_them(decisions: DataFrame) -> None:
    measured = effects.measure(decisions.where("scope = 'all'"), 30).where("metric = 'incremental_profit_per_user'").toPandas()
    by_method = measured.assign(covers=measured.low.le(EFFECT) & measured.high.ge(EFFECT), width=measured.high - measured.low).groupby(
        "method"
    )
    covers, width, value = by_method["covers"].mean(), by_method["width"].mean(), by_method["value"].mean()
    for method in ("difference", "cuped", "doubly_robust"):
        assert 0.91 <= covers[method] <= 0.985, method
        assert value[method] == pytest.approx(EFFECT, abs=0.07), method
    assert width["cuped"] < 0.85 * width["difference"]
    assert width["doubly_robust"] < 0.9 * width["difference"]


def test_intervals_cover_where_purchases_are_rare_and_few_were_withheld(spark: SparkSession) -> None:
    """Eight in a hundred buy, of log-normal worth, and half as many more where sent; 72 of 480 withheld. By its own variance: 0.88."""
    rng = np.random.default_rng(17)
    worlds, users, rate = 300, 480, 0.08
    n = worlds * users
    is_sent = rng.random(n) < 0.85
    profit = (rng.random(n) < rate) * rng.lognormal(1.2, 0.9, n) + is_sent * (rng.random(n) < rate / 2) * rng.lognormal(1.2, 0.9, n)
    effect = rate / 2 * float(np.exp(1.2 + 0.9**2 / 2))
    rows = pd.DataFrame({
        "run_id": [f"w{i // users:03d}" for i in range(n)], "user_id": [f"u{i}" for i in range(n)], "offer_id": [f"o{i}" for i in range(n)],
        "is_sent": is_sent, "e": 0.85, "past_margin": rng.exponential(2, n), "profit": profit, "revenue": profit, "scope": "all",
        "is_first": True, **{f"expected_{y}_{arm}": 0.0 for y in ("profit", "revenue") for arm in ("sent", "held")},
    })  # fmt: skip
    found = effects.measure(spark.createDataFrame(rows), 30).where("metric = 'incremental_profit_per_user'").toPandas()
    covers = (found.low.le(effect) & found.high.ge(effect)).groupby(found.method).mean()
    for method in ("difference", "cuped", "doubly_robust"):
        assert 0.93 <= covers[method] <= 0.995, (method, covers[method])


def test_totals_count_the_treated_and_ratios_follow(decisions: DataFrame) -> None:
    one = decisions.where("run_id = 'w007'").cache()
    rows = effects.measure(one, 30).unionByName(observed.counts(one)).cache()
    found = {(r.metric, r.scope, r.method): r for r in rows.unionByName(ranking.ratios(rows)).unionByName(ranking.qini(rows)).collect()}
    sent = one.where("scope = 'all' and is_sent").count()
    total, each = (found[(f"incremental_profit{tail}", "form:gift", "doubly_robust")] for tail in ("", "_per_user"))
    assert total.value == pytest.approx(each.value * sent)
    redeemed = found[("redemption_rate", "all", "observed")]
    assert redeemed.low < redeemed.value < redeemed.high
    spend = found[("spend", "all", "observed")].value
    assert spend == pytest.approx(0.5 * redeemed.value * sent)
    assert found[("roi", "all", "doubly_robust")].value == pytest.approx(
        found[("incremental_profit", "all", "doubly_robust")].value / spend
    )
    assert found[("incremental_profit_per_user", "top:40", "difference")].value > 2  # the keen come first
    assert found[("qini", "all", "doubly_robust")].value > 0.1


def test_few_users_are_refused_and_nothing_is_claimed(decisions: DataFrame) -> None:
    few = decisions.where("run_id = 'w001' and scope = 'all'").limit(20)
    rows = effects.measure(few, 30).collect()
    assert [(row.metric, row.method, row.is_causal) for row in rows] == [("effective_users", "refused", False)]
    assert "fewer than 30" in rows[0].note


def test_policies_are_valued_from_another_s_draws(spark: SparkSession) -> None:
    """Four actions drawn with unequal known q; action 0 earns 1, action 3 earns 4. The policy takes 3 always; the value is 4."""
    rng = np.random.default_rng(5)
    worlds, users = 150, 400
    q = np.array([0.4, 0.3, 0.2, 0.1])
    action = rng.choice(4, worlds * users, p=q)
    rows = pd.DataFrame({
        "world": np.repeat(np.arange(worlds), users), "q": q[action], "y": action + 1 + rng.standard_normal(len(action)),
        "pi": (action == 3).astype(float), "expected": action + 0.5, "expected_policy": 3.5,
    })  # fmt: skip
    valued = policies.value(spark.createDataFrame(rows), ("world",), 10).toPandas()
    for method in ("ips", "snips", "doubly_robust"):
        mine = valued[valued.method == method]
        assert mine.value.mean() == pytest.approx(4, abs=0.1), method
        assert 0.88 <= (mine.low.le(4) & mine.high.ge(4)).mean() <= 0.99, method
    width = (valued.high - valued.low).groupby(valued.method).mean()
    assert width["snips"] < width["ips"]
    assert policies.value(spark.createDataFrame(rows), ("world",), 100).where(F.col("value").isNotNull()).isEmpty()


def test_a_user_with_two_offers_counts_once_in_all_and_in_each_promotion(decisions: DataFrame) -> None:
    base = decisions.where("run_id = 'w003' and scope = 'all'").drop("scope", "is_first")
    base = base.withColumn("top", F.lit(100))
    twin = base.withColumns({
        "offer_id": F.concat("offer_id", F.lit("/2")), "promotion_id": F.lit("q"), "form": F.lit("discount"), "top": F.lit(20)
    })  # fmt: skip
    targeted = base.withColumns({"offer_id": F.concat(F.lit("-"), "offer_id"), "is_randomised": F.lit(False)})
    scoped = effects.per_scope(base.unionByName(twin).unionByName(targeted)).cache()
    rows = effects.measure(scoped.where("is_randomised"), 30).where("metric = 'incremental_profit' and method = 'difference'").collect()
    found = {row.scope: (row.count_treated, row.value) for row in rows}
    for scope in ("promotion:p", "form:discount", "top:20"):  # in the last two only a later offer of theirs
        assert found[scope] == pytest.approx(found["all"]), scope
    assert scoped.where("scope = 'all'").count() == 3 * USERS


def test_a_run_is_evaluated_whole_or_not_at_all(spark: SparkSession) -> None:
    """The log is of days 0 to 100, and 30 are looked back. Windows: first and last day, of each offer of a run."""
    windows = {
        "ends twice": [(10, 20), (10, 80)], "half open": [(60, 90), (60, 110)], "long ago": [(10, 20), (10, 70)],
        "open": [(90, 101)], "before the log": [(-5, 90)],
    }  # fmt: skip
    day = date(2026, 1, 1)
    rows = [(run, *(f"{day + timedelta(days=n)}" for n in window)) for run, each in windows.items() for window in each]
    texts = spark.createDataFrame(rows, "run_id string, from_at string, until_at string")
    offers = texts.select("run_id", *(F.col(f"{end}_at").cast("timestamp").alias(f"valid_{end}_at") for end in ("from", "until")))
    assert subjects.due(offers, (day, day + timedelta(days=100)), 30) == ["ends twice", "half open"]
