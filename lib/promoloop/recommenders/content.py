"""Item vectors from what is known without behaviour: text, category, brand, price band; for items nobody has touched yet.

TF-IDF over tokens, projected to a fixed width by signed feature hashing (Weinberger et al. 2009): inner products stay unbiased,
so the product of two unit vectors estimates the cosine of the full TF-IDF vectors with a deviation of about 1/sqrt(width).
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_FIELD_WEIGHTS = {"category": 2.0, "brand": 2.0, "price": 1.0, "text": 1.0}


def per_item(items: DataFrame, width: int) -> DataFrame:
    """One row per item with `places` (array<int>) and `weights` (array<double>): the non-zero parts of its content vector, not yet
    scaled to unit length. Items of which nothing is known have no row.
    """
    fields = [_tokens(name, weight) for name, weight in _FIELD_WEIGHTS.items()]
    tokens = items.select("item_id", F.explode(F.concat(*fields)).alias("_token")).select("item_id", "_token.*")
    frequencies = tokens.groupBy("item_id", "token").agg(F.sum("weight").alias("_frequency"))
    documents = frequencies.groupBy("token").agg(F.count("*").alias("_documents"))
    total = items.agg(F.count("*").alias("_total"))
    rarity = F.log((F.col("_total") + 1) / (F.col("_documents") + 1)) + 1
    hashed = F.xxhash64("token")
    sign = F.when(F.shiftrightunsigned(hashed, 40) % 2 == 0, 1.0).otherwise(-1.0)
    return (
        frequencies.join(documents, "token")
        .crossJoin(F.broadcast(total))
        .withColumn("_place", F.pmod(hashed, F.lit(width)).cast("int"))
        .withColumn("_weight", sign * F.sqrt("_frequency") * rarity)
        .groupBy("item_id", "_place")
        .agg(F.sum("_weight").alias("_weight"))
        .groupBy("item_id")
        .agg(F.sort_array(F.collect_list(F.struct("_place", "_weight"))).alias("_parts"))
        .select("item_id", F.col("_parts._place").alias("places"), F.col("_parts._weight").alias("weights"))
    )


def _tokens(field: str, weight: float) -> Column:
    """Array of (token, weight) of a field, empty where nothing is known; tokens of different fields never collide."""
    band = F.round(F.log2(F.greatest(F.col("price").cast("double"), F.lit(0.01)))).cast("int").cast("string")
    words = {
        "category": F.array(F.lower("category")),
        "brand": F.array(F.lower("brand")),
        "price": F.array(F.when(F.col("price").isNotNull(), band)),  # greatest passes over nulls
        "text": F.filter(F.split(F.lower(F.coalesce("text", F.lit(""))), r"[^\p{L}\p{N}]+"), lambda word: F.length(word) >= 3),
    }[field]
    known = F.filter(words, lambda word: word.isNotNull())
    return F.transform(known, lambda word: F.struct(F.concat(F.lit(f"{field}:"), word).alias("token"), F.lit(weight).alias("weight")))
