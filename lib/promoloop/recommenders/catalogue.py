"""Everything about items that scoring needs, as arrays by item index: small enough to be handed to every task.

Where looking at all of it for every user costs too much, see `clusters`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from scipy import sparse

from promoloop.recommenders import clusters
from promoloop.recommenders.arrays import Floats, Integers
from promoloop.recommenders.clusters import Clusters
from promoloop.recommenders.folding import Factors
from promoloop.recommenders.model import Model

ALL = ""
"""Cell of popularity that holds every user."""
_LABEL = r"^([^\r\n]{0,4}(?:[^.\r\n]|\.(?!\s|$)){0,56})"
"""First sentence of a text, 60 characters at most: to a full stop that white space or the end follows, not before four characters."""
_PRIOR_BUYERS = 10.0
_SEED = 1  # of the clusters: the same catalogue is always split alike


@dataclass(frozen=True)
class Catalogue:
    """Items by index, in the order of their ids.

    labels: what a user calls it; categories, brands: codes, -1 unknown; log_prices: NaN unknown; popularity: cells × items, 0 to 1;
    together: items × items, the weights of neighbours; repeat_share: share of an item's buyers who bought it again; repeat_days: usual
    days between two purchases; factor_clusters, content_clusters: where there are some, only the best of them are looked into (`clusters`).
    """

    item_ids: pa.Array
    labels: pa.Array
    categories: Integers
    brands: Integers
    log_prices: Floats
    is_available: NDArray[np.bool_]
    factors: Factors
    content: Floats
    cells: tuple[str, ...]
    popularity: Floats
    together: sparse.csr_matrix
    repeat_share: Floats
    repeat_days: Floats
    factor_clusters: Clusters | None = None
    content_clusters: Clusters | None = None

    def __len__(self) -> int:
        return len(self.item_ids)


def indexes(items: DataFrame) -> DataFrame:
    """item_id and item_index, dense and in the order of the ids. Catalogue-sized: sorted in one task."""
    return items.select("item_id", (F.row_number().over(Window.orderBy("item_id")) - 1).cast("int").alias("item_index"))


def indexes_of(goods: Catalogue, spark: SparkSession) -> DataFrame:
    """item_id and item_index as in `goods`, whatever the table of items holds by now."""
    numbers = pa.array(np.arange(len(goods), dtype=np.int32))
    return spark.createDataFrame(pa.table({"item_id": goods.item_ids, "item_index": numbers}))


def cell(popularity_by: Sequence[str]) -> Column:
    """The cell of popularity a user belongs to: values of the columns `popularity_by`, joined."""
    return F.concat_ws("|", *[F.coalesce(F.col(name).cast("string"), F.lit("unknown")) for name in popularity_by])


def popularity(interactions: DataFrame, users: DataFrame, popularity_by: Sequence[str]) -> DataFrame:
    """One row per cell and item: `strength` of all users of the cell together; cell ALL holds everybody."""
    of_users = users.select("user_id", F.array(F.lit(ALL), cell(popularity_by)).alias("_cells"))
    return (
        interactions.join(of_users, "user_id", "left")
        .select("item_id", "strength", F.explode(F.coalesce("_cells", F.array(F.lit(ALL)))).alias("cell"))
        .groupBy("cell", "item_id")
        .agg(F.sum("strength").alias("strength"))
    )


def repeats(interactions: DataFrame) -> DataFrame:
    """One row per item ever bought: `buyers`, `repeaters` (on more than one day), `gaps` between their purchases, `gap_days` in all."""
    count, gap_days = F.col("count_purchases"), F.col("days_since_first_purchase") - F.col("days_since_purchase")
    is_repeater = (count > 1) & (gap_days > 0)  # two lines of one order are one purchase
    return (
        interactions.where(count > 0)
        .groupBy("item_id")
        .agg(
            F.count("*").alias("buyers"),
            F.count_if(is_repeater).alias("repeaters"),
            F.sum(F.when(is_repeater, count - 1).otherwise(0)).alias("gaps"),
            F.sum(F.when(is_repeater, gap_days).otherwise(0)).alias("gap_days"),
        )
    )


def collect(items: DataFrame, content: DataFrame, popularity: DataFrame, repeats: DataFrame, model: Model, content_width: int) -> Catalogue:
    """The catalogue of `items`, in the order of `indexes`. Item-sized, so it may come to the driver."""
    price = F.col("price").cast("double")
    known = items.orderBy("item_id").select(
        "item_id",
        F.coalesce(F.nullif(F.regexp_extract("text", _LABEL, 1), F.lit("")), "category", "item_id").alias("label"),
        F.coalesce("category", F.lit("")).alias("category"),
        F.coalesce("brand", F.lit("")).alias("brand"),
        F.when(price.isNotNull(), F.log(F.greatest(price, F.lit(0.01)))).alias("log_price"),  # greatest passes over nulls
        F.coalesce(F.col("stock") > 0, F.lit(True)).alias("is_available"),
    )
    table = known.toArrow().combine_chunks()
    ids = table["item_id"].combine_chunks()
    cells, popular = _popularity(popularity.toArrow(), ids)
    repeat_share, repeat_days = _repeats(repeats.toArrow(), ids)
    at = _positions(ids, pa.array(model.item_ids, pa.string()))
    vectors = _content(content.toArrow(), ids, content_width)
    trained = Factors.of(_aligned(model, at, len(ids)), model.alpha, model.regularisation)
    return Catalogue(
        item_ids=ids,
        labels=table["label"].combine_chunks(),
        categories=_codes(table["category"].combine_chunks()),
        brands=_codes(table["brand"].combine_chunks()),
        log_prices=table["log_price"].to_numpy().astype(np.float32),
        is_available=table["is_available"].to_numpy(),
        factors=trained.filled(vectors),
        content=vectors,
        cells=cells,
        popularity=popular,
        together=_together(model, at, len(ids)),
        repeat_share=repeat_share,
        repeat_days=repeat_days,
    )


def clustered(goods: Catalogue) -> Catalogue:
    """The catalogue with its factors and its content in sqrt(items) clusters each."""
    by_factors, by_content = (clusters.split(vectors, math.isqrt(len(goods)), _SEED) for vectors in (goods.factors.items, goods.content))
    return replace(goods, factor_clusters=by_factors, content_clusters=by_content)


def unit(vectors: Floats) -> Floats:
    """Each row scaled to length 1; rows of zeros stay."""
    scaled: Floats = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return scaled


def _codes(values: pa.Array) -> Integers:
    """Codes of text values, in the order of the values; the empty text is -1."""
    distinct, codes = np.unique(values.to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    return np.where(distinct[codes] == "", -1, codes).astype(np.int64)


def _positions(ids: pa.Array, wanted: pa.Array) -> Integers:
    """Index in `ids` of each of `wanted`, -1 where it is not there."""
    at: Integers = pc.fill_null(pc.index_in(wanted, value_set=ids), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return at


def _aligned(model: Model, at: Integers, count: int) -> Floats:
    """The model's factors in the catalogue's order; a zero row for an item the model has not seen."""
    factors = np.zeros((count, model.factors.shape[1]), dtype=np.float32)
    factors[at[at >= 0]] = model.factors[at >= 0]
    return factors


def _together(model: Model, at: Integers, count: int) -> sparse.csr_matrix:
    rows = at[np.repeat(np.arange(len(at)), np.diff(model.neighbour_ends, prepend=0))]
    columns = at[model.neighbour_items]
    kept = (rows >= 0) & (columns >= 0)
    return sparse.csr_matrix((model.neighbour_weights[kept], (rows[kept], columns[kept])), shape=(count, count), dtype=np.float32)


def _content(content: pa.Table, ids: pa.Array, width: int) -> Floats:
    vectors = np.zeros((len(ids), width), dtype=np.float32)
    rows = _positions(ids, content["item_id"].combine_chunks())
    places = content["places"].combine_chunks()
    row_of = np.repeat(rows, np.diff(places.offsets.to_numpy()))
    vectors[row_of, places.flatten().to_numpy()] = content["weights"].combine_chunks().flatten().to_numpy()
    return unit(vectors)


def _popularity(popularity: pa.Table, ids: pa.Array) -> tuple[tuple[str, ...], Floats]:
    """Cells, and the share of each item in the strength of the cell, drawn towards everybody's, on a scale of 0 (never) to 1.

    The cell's shares p_c are smoothed as (n_c p_c + m p_all) / (n_c + m), m = 5 % of all strength: a small cell says little.
    """
    cells, at_cell = np.unique(np.append(popularity["cell"].to_numpy().astype(str), ALL), return_inverse=True)
    strengths = np.zeros((len(cells), len(ids)))
    at_item = _positions(ids, popularity["item_id"].combine_chunks())
    known = at_item >= 0
    strengths[at_cell[:-1][known], at_item[known]] = popularity["strength"].to_numpy()[known]
    everybody = strengths[list(cells).index(ALL)]
    pull = 0.05 * everybody.sum()
    smoothed = (strengths + pull * everybody / max(everybody.sum(), 1e-9)) / np.maximum(strengths.sum(axis=1, keepdims=True) + pull, 1e-9)
    scale = np.log1p(smoothed * len(ids))
    return tuple(cells.tolist()), (scale / np.maximum(scale.max(axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _repeats(repeats: pa.Table, ids: pa.Array) -> tuple[Floats, Floats]:
    """Repeat share and days between purchases per item, each drawn towards that of all items by ten buyers' worth."""
    at = _positions(ids, repeats["item_id"].combine_chunks())
    columns = np.zeros((4, len(ids)))
    for row, name in enumerate(("buyers", "repeaters", "gaps", "gap_days")):
        columns[row, at[at >= 0]] = repeats[name].to_numpy()[at >= 0]
    buyers, repeaters, gaps, gap_days = columns
    share = repeaters.sum() / max(buyers.sum(), 1.0)
    days = gap_days.sum() / gaps.sum() if gaps.sum() else 30.0
    return (
        ((repeaters + _PRIOR_BUYERS * share) / (buyers + _PRIOR_BUYERS)).astype(np.float32),
        np.maximum((gap_days + _PRIOR_BUYERS * days) / (gaps + _PRIOR_BUYERS), 1.0).astype(np.float32),
    )
