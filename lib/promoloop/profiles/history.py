"""The past cut into what was known and what came next: as_of days for training, for the holdout, and for the final fit.

With horizon h and as_of T the holdout is described at T - h and labelled by [T - h, T). Training days lie whole horizons before it, at
T - 2h, T - 3h, ..., so no training label reaches into the holdout's window. The champion is then fitted anew, with the parameters found, on
the latest days T - h, T - 2h, ...
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from promoloop import features
from promoloop.errors import UserError
from promoloop.profiles.trained import thin
from promoloop.settings.learning import FeaturesSettings, ProfilesSettings


@dataclass(frozen=True)
class History:
    """Features of users at past days with what came next, and the log those came from.

    `rows`: one per user_id and as_of_on with features, `label` (1: bought within the horizon), next_brand, next_category.
    """

    rows: DataFrame
    exposures: DataFrame
    interests: DataFrame
    holdout_day: date
    train_days: Sequence[date]

    @property
    def final_days(self) -> list[date]:
        """As many of the latest days as were trained on."""
        return [self.holdout_day, *self.train_days][: len(self.train_days)]


def days(events: DataFrame, as_of: date, own: ProfilesSettings) -> tuple[date, list[date]]:
    """The holdout's day and the training days, newest first. Raises UserError where the log is too short for both."""
    row = events.where(F.col("occurred_on") < F.lit(as_of)).agg(F.min("occurred_on")).first()
    opened = row[0] if row is not None else None
    if opened is None:
        raise UserError(f"table events holds nothing before {as_of}: there is nothing to learn profiles from")
    horizon = timedelta(days=own.horizon_days)
    candidates = [as_of - horizon * (n + 2) for n in range(own.train_days)]
    known = [day for day in candidates if (day - opened).days * 2 >= own.horizon_days]
    if not known:
        need = own.horizon_days * 2 + (own.horizon_days + 1) // 2
        covered = (as_of - opened).days
        raise UserError(f"events cover {covered} days before {as_of}, profiles need {need} (profiles.horizon_days is {own.horizon_days})")
    return as_of - horizon, known


def recall(
    events: DataFrame,
    users: DataFrame,
    items: DataFrame,
    promotions: DataFrame,
    as_of: date,
    own: ProfilesSettings,
    seen: FeaturesSettings,
    seed: int,
) -> History:
    """Features and outcomes at the holdout's and the training days, of as many users as profiles.max_rows allows.

    Who has no joined_on counts from the day after the first event. Raises UserError where the log is too short.
    """
    holdout_day, train_days = days(events, as_of, own)
    every = [holdout_day, *train_days]
    share = own.max_rows / max(1, users.count() * len(train_days))
    known = events.where(F.col("occurred_on") < F.lit(as_of)).transform(thin, ["user_id"], share, seed)
    people = users.transform(thin, ["user_id"], share, seed)
    # where users are made of the log, all of them did something some day: one without a day of joining was not known before the first event
    is_known = F.col("tenure_days").isNotNull() | F.col("days_since_first_event").isNotNull()
    described = features.per_user(known, people, items, promotions, every, seen.lookback_days, seen.kept_tastes).where(is_known)
    outcomes = features.per_user_outcome(known, items, every, own.horizon_days)
    bought = F.when(F.col("count_bought") > 0, 1.0).otherwise(0.0)
    return History(
        rows=described.join(outcomes, ["user_id", "as_of_on"], "left").withColumn("label", bought),
        exposures=features.per_user_form_outcome(known, promotions, every, own.horizon_days),
        interests=features.per_user_next_interest(known, items, "category", every, own.horizon_days),
        holdout_day=holdout_day,
        train_days=train_days,
    )
