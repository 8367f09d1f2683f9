"""The champions' judgement of every user."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop import registry
from promoloop.profiles import brands, buying, forms, interest, price, segments
from promoloop.profiles.pairs import KEY, with_candidates
from promoloop.profiles.train import DOCUMENTS, SPARK_MODELS, TRAINED_BY
from promoloop.settings import Settings
from promoloop.settings.learning import ProfilesSettings


@dataclass(frozen=True)
class Champions:
    """The profile models in use, and their versions, by name."""

    pipelines: Mapping[str, PipelineModel]
    documents: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]


def champions(settings: Settings) -> Champions:
    """Load the champion of every profile model. Raises UserError where one is missing."""
    pipelines = {name: registry.load_spark_model(settings, name, TRAINED_BY) for name in SPARK_MODELS}
    documents = {name: registry.load_document(settings, name, TRAINED_BY) for name in DOCUMENTS}
    versions = {name: version for name, (_, version) in [*pipelines.items(), *documents.items()]}
    return Champions({n: m for n, (m, _) in pipelines.items()}, {n: d for n, (d, _) in documents.items()}, versions)


def score(user_features: DataFrame, models: Champions, own: ProfilesSettings) -> DataFrame:
    """Profiles: one row per user_id and as_of_on of the features, users without behaviour included."""
    key = list(KEY)
    bought = buying.probabilities(models.pipelines[buying.NAME], user_features).withColumn("buy_probability", F.round("p", 9))
    judged = bought.withColumn("price_sensitivity", price.index(models.documents[price.NAME]))
    placed = judged.select(
        *key, "buy_probability", "price_sensitivity", segments.segment(models.documents[segments.NAME], own).alias("segment")
    )
    versions = F.create_map(*(F.lit(part) for name in sorted(models.versions) for part in (name, models.versions[name])))
    return (
        placed.join(preferred_brands(user_features, models.pipelines[brands.NAME], own), key, "left")
        .join(interests(user_features, models.pipelines[interest.NAME], own), key, "left")
        .join(preferred_forms(user_features, models.pipelines[forms.NAME]), key, "left")
        .withColumn("model_versions", versions)
    )


def preferred_brands(user_features: DataFrame, model: PipelineModel, own: ProfilesSettings) -> DataFrame:
    """The brand each user is most likely to buy next, and its probability; no row where no brand is known at all."""
    scored = brands.probabilities(model, with_candidates(user_features, "brands", own.popular_brands))
    best = F.max_by(F.struct("name", "p"), F.struct("p", "popularity", "name"))
    found = scored.groupBy(*KEY).agg(best.alias("_best"))
    return found.select(*KEY, F.col("_best.name").alias("preferred_brand"), F.round("_best.p", 9).alias("preferred_brand_probability"))


def interests(user_features: DataFrame, model: PipelineModel, own: ProfilesSettings) -> DataFrame:
    """Each user's expected interest by category, as a map, and the category of the most; no row where no category is known at all."""
    scored = interest.shares(model, with_candidates(user_features, "categories", own.popular_categories))
    entries = F.array_sort(F.collect_list(F.struct("name", F.round("share", 9).alias("share"))))
    best = F.max_by("name", F.struct("share", "popularity", "name"))
    found = scored.groupBy(*KEY).agg(F.map_from_entries(entries).alias("category_interest"), best.alias("preferred_category"))
    return found.select(*KEY, "category_interest", "preferred_category")


def preferred_forms(user_features: DataFrame, model: PipelineModel) -> DataFrame:
    """Each user's probability of redeeming each form, as a map, and the form of the most; null where all forms are alike."""
    scored = forms.probabilities(model, forms.with_forms(user_features)).select(*KEY, "form", F.round("p", 9).alias("p"))
    entries = F.map_from_entries(F.array_sort(F.collect_list(F.struct("form", "p"))))
    best = F.when(F.max("p") > F.min("p"), F.max_by("form", F.struct("p", "form")))
    return scored.groupBy(*KEY).agg(entries.alias("form_affinity"), best.alias("preferred_form"))
