"""Bayesian linear and logistic regression on rows in Spark: sums of products on the executors, d x d systems on the driver.

    linear     y = X b + e,  e_i ~ N(0, 1/w_i),  b ~ N(m, diag(s^2)):
               C = (X'WX + diag(1/s^2))^-1,  E b = C (X'Wy + m/s^2)
    logistic   P(y = 1) = 1 / (1 + exp(-X b)): the mode by Newton's steps, each a linear regression of the working response
               (iteratively reweighted least squares), C from the last step (Laplace)

Without rows the posterior is the prior: a cold start needs no code of its own. Every fit is made three times in the same passes,
without the users of fold 0, without those of fold 1, and on all: what the other fold's users teach is what may be applied to a user
in training (cross-fitting, Chernozhukov et al. 2018). Textbook: Bishop 2006, Pattern Recognition and Machine Learning, 3.3 and 4.5.

Why not MLlib: it has no prior other than zero, gives no covariance under a penalty, and its iterations stop anywhere within a
tolerance, so that a rerun would not give equal scores. Newton's fixed point rounded to seven digits does.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.frames import settle

Vector = NDArray[np.floating]
_MOST_STEPS = 30
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Prior:
    """What is believed of one coefficient before any row: mean and standard deviation."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Posterior:
    """Coefficients by name, with their covariance in the same order; `rows` they were learned from."""

    names: tuple[str, ...]
    mean: Vector
    covariance: Vector
    rows: int

    def __getitem__(self, name: str) -> float:
        """The mean of a coefficient."""
        return float(self.mean[self.names.index(name)])

    def document(self) -> dict[str, Any]:
        """For a reader: coefficients and their standard deviations by name, and the rows they were learned from."""
        columns = {"mean": self.mean, "deviation": np.sqrt(np.diag(self.covariance))}
        return {what: dict(zip(self.names, values.tolist(), strict=True)) for what, values in columns.items()} | {"rows": self.rows}

    def predict(self, design: Mapping[str, Column]) -> Column:
        """X b of a row."""
        return _weighted_sum(dict(zip(self.names, self.mean.tolist(), strict=True)), design)

    def deviation(self, design: Mapping[str, Column]) -> Column:
        """Standard error of X b of a row: |L'x| with C = LL'."""
        root = np.linalg.cholesky(self.covariance)
        squares = [
            F.pow(_weighted_sum({self.names[i]: float(root[i, j]) for i in range(j, len(self.names))}, design), F.lit(2.0))
            for j in range(len(self.names))
        ]
        return F.sqrt(sum(squares[1:], squares[0]))


@dataclass(frozen=True)
class Fits:
    """One fit on all rows, and one for each fold that did not see it."""

    all: Posterior
    without: tuple[Posterior, Posterior]

    def cross(self, predict: Callable[[Posterior], Column]) -> Column:
        """`predict` of the fit that did not see the row; rows have `fold`."""
        return F.when(F.col("fold") == 0, predict(self.without[0])).otherwise(predict(self.without[1]))


def linear(rows: DataFrame, design: Mapping[str, Column], target: Column, weight: Column, priors: Mapping[str, Prior]) -> Fits:
    """Regress `target` on `design` (name -> regressor) with precision `weight`, one over its variance. Rows have fold (0, 1)."""
    size = len(design)

    def sums(values: Vector) -> Vector:
        return np.concatenate([_products(values[values[:, -1] == fold, :-1]) for fold in (0, 1)])

    columns = [*design.values(), target, weight, F.col("fold")]
    both = _total(_numbers(rows, columns), sums, 2 * _length(size)).reshape(2, -1)
    fits = [_rounded(_posterior(tuple(design), products, priors)) for products in (both[0] + both[1], both[1], both[0])]
    return Fits(fits[0], (fits[1], fits[2]))


def logistic(rows: DataFrame, design: Mapping[str, Column], label: Column, priors: Mapping[str, Prior]) -> Fits:
    """Regress `label` (0 or 1) on `design`. Rows have fold (0, 1)."""
    names, size = tuple(design), len(design)
    numbers = settle(_numbers(rows, [*design.values(), label, F.col("fold")]))  # every step starts from these, and from nothing else
    slopes = np.tile(np.array([priors[name].mean for name in names]), (3, 1))
    fits: list[Posterior] = []
    for _ in range(_MOST_STEPS):
        total = _total(numbers, _working_products(slopes), 3 * _length(size)).reshape(3, -1)
        fits = [_posterior(names, products, priors) for products in total]
        steps = [fit.mean - slope for fit, slope in zip(fits, slopes, strict=True)]
        slopes = np.array([slope + step * min(1.0, 3 / (np.abs(step).max() + 1e-12)) for slope, step in zip(slopes, steps, strict=True)])
        if max(float(np.abs(step).max()) for step in steps) < _TOLERANCE or not fits[0].rows:
            break
    rounded = [_rounded(Posterior(names, slope, fit.covariance, fit.rows)) for slope, fit in zip(slopes, fits, strict=True)]
    return Fits(rounded[0], (rounded[1], rounded[2]))


def _working_products(slopes: Vector) -> Callable[[Vector], Vector]:
    """Products of the working response at `slopes` of the three fits (all, without fold 0, without fold 1)."""

    def sums(values: Vector) -> Vector:
        parts = []
        for left_out, slope in zip((-1, 0, 1), slopes, strict=True):
            kept = values[values[:, -1] != left_out]
            x, y = kept[:, :-2], kept[:, -2]
            score = np.clip(x @ slope, -30, 30)
            p = 1 / (1 + np.exp(-score))
            weight = np.maximum(p * (1 - p), 1e-9)
            parts.append(_products(np.column_stack([x, score + (y - p) / weight, weight])))
        return np.concatenate(parts)

    return sums


def _length(size: int) -> int:
    return (size + 1) ** 2 + 1


def _products(values: Vector) -> Vector:
    """Flat [x, y]'W[x, y] and the number of rows; `values` holds columns x, y, w."""
    z, weight = values[:, :-1], values[:, -1]
    return np.append((z.T @ (z * weight[:, None])).ravel(), len(values))


def _numbers(rows: DataFrame, columns: list[Column]) -> DataFrame:
    """`columns` of each row as one array of doubles: a plan of one column, however many regressors there are."""
    return rows.select(F.array(*(column.cast("double") for column in columns)).alias("numbers"))


def _total(numbers: DataFrame, sums: Callable[[Vector], Vector], size: int) -> Vector:
    """`sums` over all rows of `_numbers`; only `size` numbers per partition leave the executors."""

    def partial(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        total = np.zeros(size)
        for batch in batches:
            if len(batch):  # how wide an empty one is, nobody can tell
                total += sums(batch.column(0).flatten().to_numpy(zero_copy_only=False).reshape(len(batch), -1))
        yield pa.RecordBatch.from_arrays([pa.array(np.arange(size)), pa.array(total)], names=["position", "value"])

    added = numbers.mapInArrow(partial, "position bigint, value double").groupBy("position").agg(F.sum("value").alias("value"))
    total = np.zeros(size)
    for row in added.collect():
        total[row["position"]] = row["value"]
    return total


def _posterior(names: tuple[str, ...], products: Vector, priors: Mapping[str, Prior]) -> Posterior:
    size = len(names)
    square = products[:-1].reshape(size + 1, size + 1)
    precision = np.array([priors[name].deviation ** -2 for name in names])
    means = np.array([priors[name].mean for name in names])
    covariance = np.linalg.inv(square[:size, :size] + np.diag(precision))
    covariance = (covariance + covariance.T) / 2
    mean = covariance @ (square[:size, size] + precision * means)
    return Posterior(names, mean, covariance, round(products[-1]))


def _weighted_sum(coefficients: Mapping[str, float], design: Mapping[str, Column]) -> Column:
    terms = [F.lit(value) * design[name] for name, value in coefficients.items() if value != 0]
    return sum(terms[1:], terms[0]) if terms else F.lit(0.0)


def _rounded(fit: Posterior) -> Posterior:
    """Seven significant digits: sums of doubles depend on the order of their rows, and a rerun must give equal scores."""
    return Posterior(fit.names, _seven_digits(fit.mean), _seven_digits(fit.covariance), fit.rows)


def _seven_digits(values: Vector) -> Vector:
    scale = 10.0 ** (6 - np.floor(np.log10(np.where(values == 0, 1.0, np.abs(values)))))
    return np.asarray(np.round(values * scale) / scale)
