"""Effects of sending, from randomised arms: treated against withheld, per user and in total, with 95 % intervals.

Rows i with treatment T, outcome Y, baseline X, probability e of having been sent; weights w = 1/e on the sent, 1/(1-e) on the held.

    difference      mean_w(Y | sent) - mean_w(Y | held); variance sum w^2 (Y - mean)^2 / (sum w)^2 per arm   (Neyman 1923, Hajek 1971)
    cuped           the same of Y - theta X, X = profit before the offer, theta = cov(Y, X) / var(X) within arms   (Deng et al. 2013)
    doubly_robust   mean of m1 - m0 + T (Y - m1) / e - (1 - T)(Y - m0) / (1 - e), m cross-fitted   (AIPW, Robins et al. 1994)

Where purchases are rare and one arm is small, the few large orders that make up the variance may all have missed that arm: its own variance
is then too small, and 95 % intervals cover 82 to 90 %. So an arm of n users takes v + (max(v, pooled) - v) k / (k + n), with v its own
variance, `pooled` that of both arms and k the kurtosis within arms: (k - 1) / n is the squared relative error of a variance of n values
(Kenney & Keeping 1951, p. 164), so v counts as far as it can be trusted. With k = 60: half at 60 users, all but a hundredth at 6,000.

All are intention to treat: what sending changed, redeemed or not. In total = per user times users sent. Where an arm has fewer than
`min_effective` effective users, (sum w)^2 / sum w^2 (Kish 1965), the estimate is refused: a row `effective_users` says so instead.
"""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from promoloop.evaluation.subjects import OUTCOMES

Z = 1.959964
_USER = ("run_id", "user_id", "is_randomised")
_SCOPES = {"promotion": "promotion_id", "form": "form", "segment": "segment"}
_KEY = ("run_id", "scope", "outcome")
_ARMS = {"sent": "is_sent", "held": "not is_sent"}
_METHODS = ("difference", "cuped", "doubly_robust")


def per_scope(subjects: DataFrame) -> DataFrame:
    """`subjects`, once per scope each belongs to: all, promotion:ID, form:NAME, segment:NAME, top:PERCENT (of expected value).

    `is_first`: what a user did is theirs, not an offer's, so of several randomised offers of one run to one user (they share an arm) the
    first in a scope alone stands for the user there; and so of those that are not randomised.
    """
    scopes = [F.lit("all"), *(F.concat(F.lit(f"{of}:"), name) for of, name in _SCOPES.items())]
    scopes += [F.when(F.col("top") <= share, F.lit(f"top:{share}")) for share in (20, 40, 60, 80)]
    # by user, before the rows of one become many: one shuffle, of the fewest rows
    earlier = Window.partitionBy(*_USER).orderBy("offer_id").rowsBetween(Window.unboundedPreceding, -1)
    before = F.flatten(F.collect_list("_scopes").over(earlier))
    each = subjects.withColumn("_scopes", F.array_compact(F.array(*scopes))).withColumn("_before", before)
    scoped = each.withColumn("scope", F.explode("_scopes"))
    return scoped.withColumn("is_first", ~F.array_contains("_before", F.col("scope"))).drop("_scopes", "_before")


def measure(scoped: DataFrame, min_effective: int) -> DataFrame:
    """Evaluation rows of `incremental_profit`, `incremental_revenue` and the same `_per_user`, by scope and method.

    `scoped` are randomised decisions of `per_scope` with `expected_OUTCOME_sent` and `_held`.
    """
    estimates = _estimates(_sums(scoped.where("is_first")))
    ok = F.col("least_effective") >= min_effective
    methods = F.explode(F.array(*(F.struct(F.lit(name).alias("method"), F.col(name).alias("at")) for name in _METHODS))).alias("_m")
    found = estimates.where(ok).select("*", methods).select("*", "_m.method", "_m.at.value", (Z * F.col("_m.at.error")).alias("half"))
    per_user = found.withColumn("metric", F.concat(F.lit("incremental_"), "outcome", F.lit("_per_user"))).withColumn("times", F.lit(1))
    in_total = found.withColumn("metric", F.concat(F.lit("incremental_"), "outcome")).withColumn("times", F.col("n_sent"))
    effects = per_user.unionByName(in_total).select(
        *("run_id", "metric", "scope", "method"),
        *((F.col("times") * value).alias(name) for name, value in _interval().items()),
        F.col("n_sent").alias("count_treated"),
        F.col("n_held").alias("count_control"),
        F.lit(True).alias("is_causal"),
        F.lit("sent against withheld at random").alias("note"),
    )
    text = "incremental profit refused: fewer than %d effective users in an arm"
    refused = estimates.where(~ok & (F.col("outcome") == "profit")).select(
        "run_id",
        F.lit("effective_users").alias("metric"),
        "scope",
        F.lit("refused").alias("method"),
        F.col("least_effective").alias("value"),
        *(F.lit(None).cast("double").alias(name) for name in ("low", "high")),
        F.col("n_sent").alias("count_treated"),
        F.col("n_held").alias("count_control"),
        F.lit(False).alias("is_causal"),
        F.format_string(text, F.lit(min_effective)).alias("note"),
    )
    return effects.unionByName(refused)


def _interval() -> dict[str, Column]:
    value, half = F.col("value"), F.col("half")
    return {"value": value, "low": value - half, "high": value + half}


def _sums(scoped: DataFrame) -> DataFrame:
    """Weighted moments of each arm, per run, scope and outcome."""
    y = [
        F.struct(
            F.lit(name).alias("outcome"),
            F.col(name).alias("y"),
            F.col(f"expected_{name}_sent").alias("m1"),
            F.col(f"expected_{name}_held").alias("m0"),
        )
        for name in OUTCOMES
    ]
    sent, e = F.col("is_sent").cast("double"), F.col("e")
    doubly = F.col("m1") - F.col("m0") + sent * (F.col("y") - F.col("m1")) / e - (1 - sent) * (F.col("y") - F.col("m0")) / (1 - e)
    rows = (
        scoped.select("run_id", "scope", "is_sent", "e", F.col("past_margin").alias("x"), F.explode(F.array(*y)).alias("_y"))
        .select("run_id", "scope", "is_sent", "e", "x", "_y.*")
        .withColumn("w", sent / e + (1 - sent) / (1 - e))
        .withColumn("phi", doubly)
        .withColumn("r", F.col("y") - F.when(F.col("is_sent"), F.col("m1")).otherwise(F.col("m0")))
    )
    w = F.col("w")
    moments = {"w": w, "wy": w * F.col("y"), "wx": w * F.col("x"), "w2": w * w}
    moments |= {f"w2{a}{b}": w * w * F.col(a) * F.col(b) for a, b in (("y", "y"), ("x", "x"), ("x", "y"))}
    moments |= {f"w2{a}": w * w * F.col(a) for a in ("x", "y")}
    moments |= {f"{name}{power}": F.col(name) ** power for name in ("y", "r") for power in (1, 2, 3, 4)}
    sums = [F.sum(F.when(F.expr(is_arm), value)).alias(f"{name}_{arm}") for arm, is_arm in _ARMS.items() for name, value in moments.items()]
    counts = [F.count(F.when(F.expr(is_arm), 1)).alias(f"n_{arm}") for arm, is_arm in _ARMS.items()]
    return rows.groupBy(*_KEY).agg(
        *sums, *counts, F.avg("phi").alias("phi"), (F.stddev_samp("phi") / F.sqrt(F.count("*"))).alias("phi_error")
    )


def _estimates(sums: DataFrame) -> DataFrame:
    """A struct (value, error) per method, and the effective users of the smaller arm."""
    both = sums.where((F.col("n_sent") > 1) & (F.col("n_held") > 1))
    xx, xy = (sum((_spread("x", of, arm) * _share(arm) for arm in _ARMS), F.lit(0.0)) for of in ("x", "y"))
    theta = F.coalesce(F.try_divide(xy, xx), F.lit(0.0))
    gap_y, gap_x = (_mean(v, "sent") - _mean(v, "held") for v in ("y", "x"))
    plain = {arm: _spread("y", "y", arm) for arm in _ARMS}
    adjusted = {arm: plain[arm] + theta * (theta * _spread("x", "x", arm) - 2 * _spread("x", "y", arm)) for arm in _ARMS}
    missed = _missed({arm: _central("r", arm, 2) for arm in _ARMS}, "r")
    error = {
        "difference": _error(plain),
        "cuped": _error(adjusted),
        "doubly_robust": F.sqrt(
            F.col("phi_error") ** 2 + sum((missed[arm] * F.col(f"w2_{arm}") for arm in _ARMS), F.lit(0.0)) / _users() ** 2
        ),
    }
    value = {"difference": gap_y, "cuped": gap_y - theta * gap_x, "doubly_robust": F.col("phi")}
    effective = F.least(*(1 / _share(arm) for arm in _ARMS))
    return both.select(
        *(*_KEY, "n_sent", "n_held"),
        F.round(effective, 3).alias("least_effective"),
        *(F.struct(value[name].alias("value"), error[name].alias("error")).alias(name) for name in _METHODS),
    )


def _error(spreads: Mapping[str, Column]) -> Column:
    """Standard error of a difference of the arms' weighted means, from the variance of the values in each arm."""
    missed = _missed(spreads, "y")
    return F.sqrt(F.greatest(sum(((spreads[arm] + missed[arm]) * _share(arm) for arm in _ARMS), F.lit(0.0)), F.lit(0.0)))


def _missed(variances: Mapping[str, Column], of: str) -> dict[str, Column]:
    """What is to be added to each arm's own variance, `of` telling whose kurtosis says how far it can be trusted."""
    pooled = _pooled(variances)
    square, fourth = (_pooled({arm: _central(of, arm, power) for arm in _ARMS}) for power in (2, 4))
    kurtosis = F.coalesce(F.try_divide(fourth, square * square), F.lit(0.0))
    return {arm: F.greatest(pooled - own, F.lit(0.0)) * kurtosis / (kurtosis + F.col(f"n_{arm}")) for arm, own in variances.items()}


def _pooled(values: Mapping[str, Column]) -> Column:
    """The mean of the arms' values, by their users."""
    return sum((F.col(f"n_{arm}") * value for arm, value in values.items()), F.lit(0.0)) / _users()


def _central(of: str, arm: str, power: int) -> Column:
    """The second or fourth central moment of the arm's values, from its sums of powers."""
    raw = {p: F.col(f"{of}{p}_{arm}") / F.col(f"n_{arm}") for p in (1, 2, 3, 4)}
    if power == 2:
        return F.greatest(raw[2] - raw[1] ** 2, F.lit(0.0))
    return F.greatest(raw[4] - 4 * raw[1] * raw[3] + 6 * raw[1] ** 2 * raw[2] - 3 * raw[1] ** 4, F.lit(0.0))


def _mean(of: str, arm: str) -> Column:
    return F.col(f"w{of}_{arm}") / F.col(f"w_{arm}")


def _spread(a: str, b: str, arm: str) -> Column:
    """Covariance of a and b in the arm, rows weighing w^2."""
    a, b = sorted((a, b))
    mean_a, mean_b = _mean(a, arm), _mean(b, arm)
    cross = mean_a * F.col(f"w2{b}_{arm}") + mean_b * F.col(f"w2{a}_{arm}")
    centred = F.col(f"w2{a}{b}_{arm}") - cross + mean_a * mean_b * F.col(f"w2_{arm}")
    n = F.col(f"n_{arm}")
    return centred / F.col(f"w2_{arm}") * n / (n - 1)


def _users() -> Column:
    return F.col("n_sent") + F.col("n_held")


def _share(arm: str) -> Column:
    """The variance of the arm's weighted mean over that of its values: one over its effective users."""
    return F.col(f"w2_{arm}") / (F.col(f"w_{arm}") * F.col(f"w_{arm}"))
