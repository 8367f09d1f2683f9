"""What the lists themselves, rules and all, were worth on the last horizon: every measure, for all users and by segment."""

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop.frames import settle
from promoloop.recommenders import catalogue, evaluation, hits, serving
from promoloop.recommenders.catalogue import Catalogue
from promoloop.recommenders.ranker import Ranker
from promoloop.settings.learning import RecommendersSettings

_MEASURES = (*evaluation.ACCURACY, "novelty", "diversity")
_RESAMPLES = 200


def measured(
    users: DataFrame, goods: Catalogue, judge: Ranker, vectors: DataFrame, strengths: DataFrame, settings: RecommendersSettings, seed: int
) -> list[dict[str, Any]]:
    """One entry per measure and scope: metric, scope (all, or segment: the cell of popularity), value, low, high, count_users.

    `users`: user_id, cell, history, taken (indexes of what they bought in the horizon). `strengths` say who had touched what before.
    Lists are cut at 10; without users there are no entries.
    """
    spark, k = users.sparkSession, hits.JUDGED_AT
    lists = settle(serving.recommend(users, goods, judge, settings, seed).select("user_id", "rank", "item_id"))
    indexes = catalogue.indexes_of(goods, spark)
    taken = users.select("user_id", F.explode("taken").alias("item_index")).join(F.broadcast(indexes), "item_index")
    per_user = (
        evaluation.per_user(lists, taken, k)
        .join(evaluation.novelty_per_user(lists, strengths, k), "user_id", "left")
        .join(evaluation.diversity_per_user(lists, vectors, k), "user_id", "left")
        .join(users.select("user_id", F.col("cell").alias("segment")), "user_id")
    )
    rows = [row.asDict() for row in evaluation.summarise(per_user, _MEASURES, _RESAMPLES, seed).collect()]
    covered = evaluation.coverage(lists, len(goods), k).first()
    assert covered is not None
    return [{"metric": "coverage", "scope": "all", "value": covered["coverage"]}, *rows] if rows else []
