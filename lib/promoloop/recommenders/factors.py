"""Implicit-feedback matrix factorisation by MLlib's ALS (Hu, Koren, Volinsky 2008; blocked as Spark does it)."""

from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.recommenders import indexing
from promoloop.settings.learning import RecommendersSettings


def train(interactions: DataFrame, item_indexes: DataFrame, settings: RecommendersSettings, seed: int, blocks: int) -> DataFrame:
    """One row per item with interactions: item_index, factors (array<float>).

    The factors of users are not kept: given the items' they are a closed form of a user's history (`folding`), the very last half step
    of ALS, so lists are as fresh as the history and users who came after training are served too.
    MLlib multiplies the regularisation by the number of a user's (item's) interactions (ALS-WR, Zhou et al. 2008).
    """
    user_indexes = indexing.per_id(interactions, "user_id")
    rated = (
        interactions.join(F.broadcast(item_indexes), "item_id")
        .join(user_indexes, "user_id")
        .select("user_index", "item_index", F.col("strength").cast("float").alias("strength"))
    )
    als = ALS(
        rank=settings.rank,
        maxIter=settings.iterations,
        regParam=settings.regularisation,
        alpha=settings.alpha,
        implicitPrefs=True,
        seed=seed,
        numUserBlocks=blocks,
        numItemBlocks=blocks,
        userCol="user_index",
        itemCol="item_index",
        ratingCol="strength",
    )
    return als.fit(rated).itemFactors.select(F.col("id").alias("item_index"), F.col("features").alias("factors"))
