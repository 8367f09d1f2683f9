"""All profile models of one day."""

from collections.abc import Sequence
from datetime import date
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop import registry
from promoloop.frames import settle, side_by_side
from promoloop.profiles import brands, buying, forms, interest, price, segments
from promoloop.profiles.history import History
from promoloop.profiles.pairs import KEY
from promoloop.profiles.trained import Trained, tellable
from promoloop.settings import Settings
from promoloop.settings.learning import ProfilesSettings

TRAINED_BY = "train_profiles"
SPARK_MODELS = (buying.NAME, brands.NAME, interest.NAME, forms.NAME)
DOCUMENTS = (price.NAME, segments.NAME)


def train(history: History, own: ProfilesSettings, seed: int) -> list[Trained]:
    """Train, judge and fit every profile model on what is recalled of the past."""
    described = history.rows.repartition(own.partitions, "user_id").sortWithinPartitions(*KEY).transform(settle)
    exposures, next_interest = history.exposures.transform(settle), history.interests.transform(settle)
    rows, holdout, latest = (described.transform(_on, days) for days in (history.train_days, [history.holdout_day], history.final_days))
    return side_by_side(
        described.sparkSession,
        partial(buying.train, rows, holdout, latest, own, seed),
        partial(brands.train, rows, holdout, latest, own, seed),
        partial(interest.train, rows, holdout, latest, next_interest, own, seed),
        partial(forms.train, rows, holdout, latest, exposures, own, seed),
        partial(price.train, rows, holdout, latest, own),
        partial(segments.train, latest.transform(_on, [history.holdout_day]), own),
    )


def keep(trained: Sequence[Trained], settings: Settings) -> dict[str, str]:
    """Keep each model as the champion of its name in the registry; return versions by name."""
    return {model.name: _keep(model, settings) for model in trained}


def _keep(model: Trained, settings: Settings) -> str:
    card = tellable(model.card, settings.privacy.k_anonymity)
    if model.name in DOCUMENTS:
        return registry.log_document(settings, model.name, model.model, model.figures, model.params, card)  # type: ignore[arg-type]
    return registry.log_spark_model(settings, model.name, model.model, model.figures, model.params, card=card)


def _on(rows: DataFrame, days: Sequence[date]) -> DataFrame:
    return rows.where(F.col("as_of_on").isin(*days))
