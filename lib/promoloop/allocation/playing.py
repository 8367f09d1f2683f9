"""A plan played before it is issued: redemptions, concessions and profit drawn many times over from what its offers are expected to do.

For offer i of expected redemption p, cost c, effect e = profit + cost, standard error d, in replication r:

    redeemed  R = [u < p]                        spend  S = R c / p
    profit    P = R (e + d z) / p - S            z = sqrt(s) Z[r] + sqrt(1 - s) z[i, r],   all z standard normal

So E S = c and E P = profit, as the plan has them; an offer nobody redeems costs and earns nothing. Z[r], the same for all offers of a
replication, is what is not known of the coefficients; z[i, r] is how users differ. s, the former's share of d squared, is a setting:
one half is right before anything was measured, and cautious after.

Draws are hashed from (user, plan, replication): they depend on nothing else. Of all users only sums by replication and promotion leave
the executors.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.allocation.pricing import Array
from promoloop.allocation.problem import Floats

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CELLS = 2_000_000  # draws held at a time
_FIGURES = ("redemptions", "spend", "profit")
_SUMS = "promotion_id string, replication int, offers bigint, redemptions double, spend double, profit double"
OFFER = ("user_id", "promotion_id", "p_redeem", "expected_cost", "expected_profit", "profit_deviation")


@dataclass(frozen=True)
class Range:
    """Mean, and the 2.5 and 97.5 percentiles of the replications."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Played:
    """What offers did in each replication: promotions in order x replications; `offers` per promotion."""

    promotions: tuple[str, ...]
    offers: Array
    redemptions: Floats
    spend: Floats
    profit: Floats

    def of(self, figure: str, promotion: str | None = None) -> Floats:
        """A figure (redemptions, spend, profit) of one promotion, or of all, by replication."""
        values: Floats = getattr(self, figure)
        return np.asarray(values.sum(0) if promotion is None else values[self.promotions.index(promotion)])

    def range(self, figure: str, promotion: str | None = None) -> Range:
        """The same as mean and 95 % interval."""
        values = self.of(figure, promotion)
        low, high = np.quantile(values, (0.025, 0.975))
        return Range(float(values.mean()), float(low), float(high))

    def chance_over(self, capacity: float, promotion: str | None = None) -> float:
        """The share of replications whose spend is more than `capacity`, money."""
        return float((self.of("spend", promotion) > capacity + 1e-9).mean())


def play(offers: DataFrame, run_id: str, replications: int, shared_share: float) -> Played:
    """Play `offers` (columns OFFER, one row per offer) `replications` times."""
    common = np.random.default_rng(_seed(run_id)).standard_normal(replications)
    own, shared = float(np.sqrt(1 - shared_share)), np.sqrt(shared_share) * common

    def summed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            names, which = np.unique(batch.column("promotion_id").to_numpy(zero_copy_only=False), return_inverse=True)
            sums = np.zeros((len(names), 3, replications))
            step = max(1, _CELLS // replications)
            numbers = [batch.column(name).to_numpy() for name in OFFER[2:]]
            seeds = batch.column("seed").to_numpy().view(np.uint64)
            for start in range(0, batch.num_rows, step):
                part = slice(start, start + step)
                drawn = _draw(seeds[part], [column[part] for column in numbers], own, shared)
                for place in np.unique(which[part]):
                    sums[place] += drawn[:, which[part] == place].sum(1)
            yield _rows(names, np.bincount(which, minlength=len(names)), sums)

    seed = F.xxhash64("user_id", "promotion_id", F.lit(run_id), F.lit("play"))
    columns = [F.col(name).cast("double").alias(name) for name in OFFER[2:]]
    partial = offers.select("promotion_id", seed.alias("seed"), *columns).mapInArrow(summed, _SUMS)
    added = partial.groupBy("promotion_id", "replication").agg(*(F.sum(name).alias(name) for name in ("offers", *_FIGURES)))
    return _gathered(added.orderBy("promotion_id", "replication").toArrow(), replications)


def _seed(run_id: str) -> list[int]:
    return list(run_id.encode())


def _rows(names: Array, counts: Array, sums: Floats) -> pa.RecordBatch:
    replications = sums.shape[2]
    columns = [
        pa.array(np.repeat(names, replications), pa.string()),
        pa.array(np.tile(np.arange(replications, dtype=np.int32), len(names))),
        pa.array(np.repeat(counts, replications)),
        *(pa.array(sums[:, figure].ravel()) for figure in range(3)),
    ]
    return pa.RecordBatch.from_arrays(columns, names=[part.split()[0] for part in _SUMS.split(", ")])


def _gathered(table: pa.Table, replications: int) -> Played:
    names = table["promotion_id"].to_pylist()[::replications]
    shape = (len(names), replications)
    figures = [np.round(table[name].to_numpy(), 6).reshape(shape) for name in _FIGURES]  # sums differ in the last digits with their order
    return Played(tuple(names), table["offers"].to_numpy().reshape(shape)[:, 0], *figures)


def _draw(seeds: Array, numbers: list[Floats], own: float, shared: Floats) -> Floats:
    """Redemptions, spend and profit: 3 x offers x replications."""
    chance, cost, profit, deviation = (column[:, None] for column in numbers)
    redeems = _uniform(seeds, len(shared), 0) < chance
    radius = np.sqrt(-2 * np.log(1 - _uniform(seeds, len(shared), 1)))
    normal = shared + own * radius * np.cos(2 * np.pi * _uniform(seeds, len(shared), 2))
    each = np.where(redeems, 1 / np.maximum(chance, 1e-12), 0.0)
    spend = each * cost
    return np.stack([redeems.astype(np.float64), spend, each * (profit + cost + deviation * normal) - spend])


def _uniform(seeds: Array, replications: int, stream: int) -> Floats:
    """Numbers uniform on [0, 1), offers x replications: SplitMix64 (Steele, Lea and Flood 2014) started at each offer's seed."""
    count = np.arange(replications, dtype=np.uint64) * np.uint64(3) + np.uint64(stream + 1)
    z = seeds[:, None] + count * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.asarray((z >> np.uint64(11)).astype(np.float64) / float(1 << 53))
