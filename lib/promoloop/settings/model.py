"""The settings as one frozen model: one section per room, bounds and units beside each field."""

from promoloop.settings.data import EventsSettings, PrivacySettings, SourceSettings
from promoloop.settings.learning import FeaturesSettings, OffersSettings, ProfilesSettings, RecommendersSettings
from promoloop.settings.plan import (
    AllocationSettings,
    DesignSettings,
    EvaluationSettings,
    ExecutionSettings,
    ReportSettings,
    SimulationSettings,
)
from promoloop.settings.run import PathsSettings, RunSettings, SparkSettings
from promoloop.settings.section import Section
from promoloop.settings.shop import ShopSettings


class Settings(Section):
    """Everything a job may need to know beside its tables."""

    run: RunSettings
    paths: PathsSettings
    spark: SparkSettings
    shop: ShopSettings
    source: SourceSettings
    events: EventsSettings
    privacy: PrivacySettings
    features: FeaturesSettings
    profiles: ProfilesSettings
    recommenders: RecommendersSettings
    offers: OffersSettings
    allocation: AllocationSettings
    design: DesignSettings
    simulation: SimulationSettings
    execution: ExecutionSettings
    evaluation: EvaluationSettings
    report: ReportSettings

    def at(self, **places: str) -> "Settings":
        """The same with other `places`, by their names in `paths`."""
        return self.model_copy(update={"paths": self.paths.model_copy(update=places)})
