"""Settings of what is learned: features, profiles, recommenders, offer response."""

from typing import Annotated, Literal

from pydantic import Field

from promoloop.settings.plan import Form
from promoloop.settings.section import Section


class FeaturesSettings(Section):
    """Point-in-time features."""

    lookback_days: int = Field(ge=90, description="Days before as_of that behaviour is taken from")
    kept_tastes: int = Field(ge=1, le=200, description="Categories, and brands, listed per user: those of the most interest")


class ProfilesSettings(Section):
    """Profile models."""

    horizon_days: int = Field(ge=1, le=90, description="Days ahead that the models look: buys within, brand bought first within")
    train_days: int = Field(ge=1, le=10, description="As_of days stacked for training, one per horizon, before the holdout's")
    max_rows: int = Field(ge=100, description="Most rows a model is trained on; more are thinned by a hash of the user")
    folds: int = Field(ge=2, le=10, description="Folds of cross-validation; a user's rows share a fold")
    forest_depths: tuple[Annotated[int, Field(ge=1, le=30)], ...] = Field(
        min_length=1, description="Depths of the brands' forest to try; the best by cross-validation is kept"
    )
    buying_penalties: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        min_length=1, description="Penalties of the regression on buying to try, likewise"
    )
    interest_penalties: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        min_length=1, description="Penalties of the regression on interest to try, likewise"
    )
    partitions: int = Field(ge=1, description="Partitions of training rows; part of the result, as forests sample by partition")
    popular_brands: int = Field(ge=1, le=100, description="Brands every user is given a probability for, beside the user's own")
    popular_categories: int = Field(ge=1, le=100, description="Categories every user is given an interest in, beside the user's own")
    new_days: int = Field(ge=1, description="A user seen for the first time within this many days is new")
    lapsing_days: int = Field(ge=1, description="A known user not seen for this many days is lapsing")
    bargain_from: float = Field(ge=0, le=1, description="A buyer of at least this price sensitivity is a bargain hunter")
    loyal_share: float = Field(gt=0, lt=1, description="Share of buyers, those of the most orders, that are loyal")


class Trial(Section):
    """Parameters of the factorisation to try; what is left out is as in the settings."""

    rank: int | None = Field(default=None, ge=1, le=512, description="Factors")
    regularisation: float | None = Field(default=None, gt=0, description="As recommenders.regularisation")
    alpha: float | None = Field(default=None, gt=0, description="As recommenders.alpha")


class RecommendersSettings(Section):
    """Item recommenders."""

    weight_view: float = Field(ge=0, description="Strength a view adds to a user's interest in an item")
    weight_cart: float = Field(ge=0, description="Strength a cart adds")
    weight_purchase: float = Field(gt=0, description="Strength a purchase adds; a return takes it away")
    weight_review: float = Field(ge=0, description="Strength a three-star review adds; one star adds nothing, five stars twice as much")
    half_life_days: float = Field(gt=0, description="Age at which an event counts half, days")
    rank: int = Field(ge=1, le=512, description="Factors of the matrix factorisation")
    iterations: int = Field(ge=1, le=100, description="Alternations of ALS")
    regularisation: float = Field(gt=0, description="ALS, multiplied by the number of interactions of the user or item")
    alpha: float = Field(gt=0, description="ALS: confidence added per unit of strength")
    trials: tuple[Trial, ...] = Field(default=(), description="Other parameters of ALS; the best on a time split is what is trained with")
    trial_users: int = Field(ge=10, description="Users each trial learns from, and at most as many it is judged on")
    content_width: int = Field(ge=16, le=4096, description="Width of the hashed TF-IDF vectors of items")
    neighbours: int = Field(ge=1, description="Co-bought items kept per item")
    max_history: int = Field(ge=1, description="Strongest items of a user's history that are used")
    popularity_by: list[Literal["age_band", "gender", "region", "occupation", "income_band"]] = Field(
        description="Columns of users whose combinations have a popularity of their own, for cold users"
    )
    candidates: int = Field(ge=1, description="Items each source of candidates proposes per user")
    list_size: int = Field(ge=1, description="Items recommended to each user")
    promotion_candidates: int = Field(ge=1, description="Promotions valued per user: of more open ones, those the user wants most")
    memory_mb: int = Field(ge=64, description="Memory for score matrices in one task, MiB; bounds the users scored at once")
    clusters_above: int = Field(ge=1, description="Items of a catalogue above which each user looks into its best clusters alone")
    probes: int = Field(ge=1, description="Clusters (of sqrt(items)) each user looks into, where there are clusters")
    repeatable_from: float = Field(ge=0, description="Bought items are listed if this share of buyers buys them again; above 1: never")
    price_ceiling: float = Field(gt=0, description="Items dearer than this many times the dearest of the user's history are not listed")
    category_cap: int = Field(ge=1, description="Most items of one category on a list")
    diversity: float = Field(ge=0, le=1, description="Weight of not resembling what is on the list already; 0: by score alone")
    exploration: float = Field(ge=0, lt=1, description="Share of a list's places drawn at random from the user's other candidates")
    horizon_days: int = Field(ge=1, description="What users buy within so many days is what the ranker learns to foresee, days")
    ranker_users: int = Field(ge=10, description="Users the ranker is trained on, and as many it is judged on")
    ranker_negatives: int = Field(ge=1, description="Candidates not taken that are kept per user to train the ranker on")
    neural_nodes: int = Field(ge=1, description="Nodes of the neural ranker's hidden layer")
    neural_iterations: int = Field(ge=1, description="Iterations of the neural ranker's training")
    stream_every_seconds: int = Field(ge=0, description="The stream takes what is new every so many seconds; 0: what is there, then ends")
    stream_standby: bool = Field(
        description="Where another process follows the events: get ready, wait for its end, and go on in its place"
    )


class OffersSettings(Section):
    """Response models and the value of an offer. What each prior means is stated in `docs/offers.md`."""

    horizon_days: int = Field(ge=1, le=366, description="Days an offer of a plan is open at most, and over which its value is counted")
    history_days: int = Field(ge=7, description="Days of behaviour before a decision that describe the user")
    assumed_margin: float = Field(gt=0, lt=1, description="Share of the price an item earns where its unit cost is unknown")
    prior_redemption: dict[Form, Annotated[float, Field(gt=0, lt=1)]] = Field(
        description="By form: probability of redemption before any offer was seen"
    )
    prior_incremental_share: float = Field(ge=0, le=1, description="Share of a redeemed order that would not have been bought otherwise")
    prior_share_deviation: float = Field(gt=0, description="Prior standard deviation of that share, and how far users scatter around it")
    prior_form_deviation: float = Field(gt=0, description="Prior standard deviation of a form's share around that of all forms")
    prior_modifier_deviation: float = Field(gt=0, description="Prior standard deviation of each modifier of it (recency, taste, ...)")
    prior_redemption_deviation: float = Field(gt=0, description="Prior standard deviation of each coefficient of the redemption model")
