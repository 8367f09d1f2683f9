"""Users paired with the brands or categories they may turn to next: their own, and those that are popular."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from promoloop.features.tastes import WEIGHTS

KEY = ("user_id", "as_of_on")
FEATURES = (
    *("interest", "rank", "log_views", "log_carts", "log_units", "fresh", "views_share", "carts_share"),
    *("popularity", "popularity_bought", "log_activity", "entropy"),
)


def with_candidates(rows: DataFrame, tastes: str, popular: int) -> DataFrame:
    """One row per user_id, as_of_on and candidate `name` (of `tastes`: categories or brands) with the pair's FEATURES.

    Candidates are the user's own tastes and the `popular` names of most engagement among all users of the day. `rows` are user features;
    popularity is measured on them, so a candidate needs nothing but what was known that day.
    """
    entropy = {"categories": "category_entropy", "brands": "brand_entropy"}[tastes]
    activity, spread = F.log1p("count_views_90d").alias("log_activity"), F.coalesce(entropy, F.lit(0.0)).alias("entropy")
    touched = rows.select(*KEY, activity, spread, F.posexplode(tastes).alias("_place", "_taste"))
    own = touched.select(*KEY, "log_activity", "entropy", (1 / (1 + F.col("_place"))).alias("rank"), "_taste.*")
    known = own.groupBy("as_of_on", "name").agg(*(F.sum(count).alias(f"_{count}") for count in WEIGHTS)).transform(_popularity)
    listed = F.broadcast(known.where(F.col("_order") <= popular).select("as_of_on", "name"))
    proposed = rows.select(*KEY, activity, spread).join(listed, "as_of_on").join(own.select(*KEY, "name"), [*KEY, "name"], "left_anti")
    both = own.unionByName(proposed, allowMissingColumns=True)
    return both.join(F.broadcast(known.drop("_order")), ["as_of_on", "name"]).transform(_features)


def _popularity(known: DataFrame) -> DataFrame:
    """Shares of all engagement, and of all units, that each name has on its day, and its place among them."""
    weight = sum((F.col(f"_{name}") * weight for name, weight in WEIGHTS.items()), F.lit(0))
    day = Window.partitionBy("as_of_on")  # as many rows as there are names, not users
    place = F.row_number().over(day.orderBy(F.desc("_weight"), "name"))
    shares = {"popularity": F.col("_weight") / F.sum("_weight").over(day), "_order": place}
    bought = F.coalesce(F.try_divide(F.col("_units").cast("double"), F.sum("_units").over(day)), F.lit(0.0))
    counted = known.withColumn("_weight", weight).withColumns({**shares, "popularity_bought": bought})
    return counted.select("as_of_on", "name", "popularity", "popularity_bought", "_order")


def _features(pairs: DataFrame) -> DataFrame:
    whole = Window.partitionBy(*KEY)
    zero = {name: F.coalesce(name, F.lit(0.0)) for name in ("interest", "rank")}
    counts = {name: F.coalesce(name, F.lit(0)).cast("double") for name in WEIGHTS}
    shares = {f"{name}_share": F.coalesce(F.try_divide(F.col(name), F.sum(name).over(whole)), F.lit(0.0)) for name in ("views", "carts")}
    logs = {f"log_{name}": F.log1p(name) for name in WEIGHTS}
    fresh = F.coalesce(1 / (1 + F.col("days_since")), F.lit(0.0))
    return pairs.withColumns({**zero, **counts, "fresh": fresh}).withColumns({**shares, **logs}).select(*KEY, "name", *FEATURES)
