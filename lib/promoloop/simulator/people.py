"""Users of a block: demographics, and latent traits drawn given them with interactions and noise."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from promoloop.simulator.catalogue import Catalogue
from promoloop.simulator.draws import Floats, Ints, gammas, normals, uniforms
from promoloop.simulator.law import CATEGORIES, CHANNELS, FORMS, OCCUPATIONS, REGIONS, Law

_INCOME_BY_OCCUPATION = np.array([-0.75, -0.1, 0.25, 0.65, 0.0, -0.15, 0.15, -0.3])


@dataclass(frozen=True)
class Demographics:
    """What the shop knows of its users, as arrays over the users of a block."""

    age: Ints  # years
    gender: Ints
    region: Ints
    occupation: Ints
    income: Floats  # money a year
    joined: Ints  # days before (negative) or after the shop's first day in the log
    has_consent: Floats  # 0 or 1
    has_channel: Floats  # users x channels, 0 or 1; email always
    preferred_channel: Ints


@dataclass(frozen=True)
class Traits:
    """What nobody knows of the users, as arrays over the users of a block."""

    category_affinity: Floats  # users x categories, log weight
    brand_affinity: Floats  # users x brands, log weight
    elasticity: Floats  # log weight lost per unit of log relative price
    proneness: Floats  # users x forms
    sessions: Floats  # browsing sessions a day
    order_rate: Floats  # orders per session when ready to buy
    patience: Floats  # days
    weekday: Floats  # users x 7 (Monday first), mean 1
    hour: Floats  # users x 2, hours of the two daily peaks
    evening: Floats  # share of visits at the second peak
    repeat: Floats  # share of order lines taken from the user's staples
    notice: Floats  # chance that a first message is noticed
    tolerance: Floats  # message load borne
    irritation: Floats  # log intensity lost per message beyond it
    switching: Floats  # share of other demand an irresistible offer diverts
    review: Floats  # chance of a review per line
    generosity: Floats  # stars given beyond what is felt


def demographics(seed: int, users: Ints, days: int) -> Demographics:
    """Demographics of the users numbered `users`; about an eighth of them join within the log's first `days` days."""
    pick, spread = uniforms(seed, "age group", users), normals(seed, "age", users)
    group = np.digitize(pick, [0.35, 0.80])
    age = np.clip(np.array([27, 44, 66])[group] + np.array([6, 9, 8])[group] * spread, 18, 90).astype(np.int64)
    gender = np.digitize(uniforms(seed, "gender", users), [0.50, 0.97])
    weights = 1.0 / np.arange(1, len(REGIONS) + 1) ** 0.7
    region = np.searchsorted(np.cumsum(weights / weights.sum())[:-1], uniforms(seed, "region", users))
    occupation = 1 + np.floor(uniforms(seed, "occupation", users) * 6).astype(np.int64)
    chance = uniforms(seed, "stage", users)
    occupation = np.where((age < 26) & (chance < 0.55), OCCUPATIONS.index("student"), occupation)
    occupation = np.where((age >= 64) & (chance < 0.85), OCCUPATIONS.index("retired"), occupation)
    hump = 0.3 - ((age - 48) / 45.0) ** 2
    income = 33_000 * np.exp(_INCOME_BY_OCCUPATION[occupation] + hump - 0.04 * region + 0.35 * normals(seed, "income", users))
    since = uniforms(seed, "joined", users)
    joined = np.where(since < 0.12, np.floor(since / 0.12 * days), -1 - np.floor((since - 0.12) / 0.88 * 1000)).astype(np.int64)
    young = _rises(35.0 - age, 8.0)
    chances = np.column_stack([0.25 + 0.6 * young, 0.5 + 0.1 * (gender == 0), np.ones(len(users))])
    channel = np.arange(len(CHANNELS))
    has = (uniforms(seed, "channel", users[:, None], channel[None, :]) < chances).astype(np.float64)
    liking = has * (
        0.3 + uniforms(seed, "liking", users[:, None], channel[None, :]) + np.column_stack([0.5 * young, 0 * young, 0.4 * (1 - young)])
    )
    consent = uniforms(seed, "consent", users) < 0.86 - 0.10 * young + 0.05 * (gender == 0)
    return Demographics(
        age, gender, region, occupation, np.round(income, -2), joined, consent.astype(np.float64), has, np.argmax(liking, axis=1)
    )


def traits(seed: int, users: Ints, known: Demographics, catalogue: Catalogue, law: Law) -> Traits:
    """Latent traits of the users numbered `users`, given what is known of them."""

    def noise(stream: str, scale: float, width: int = 0) -> Floats:
        if width == 0:
            return scale * normals(seed, stream, users)
        return scale * normals(seed, stream, users[:, None], np.arange(width)[None, :])

    age = known.age.astype(np.float64)
    young, wealth = _rises(35.0 - age, 6.0), np.clip((np.log(known.income) - 10.3) / 0.55, -2.5, 2.5)
    is_student, is_retired = known.occupation == 0, known.occupation == len(OCCUPATIONS) - 1
    side = np.array([1.0, -1.0, 0.0])[known.gender]
    is_tight_family = (age > 29) & (age < 51) & (wealth < 0)
    bump = np.exp(-(((age[:, None] - catalogue.age_centre) / catalogue.age_width) ** 2))
    category = (
        1.6 * bump * (1 + catalogue.gender_tilt * side[:, None])
        + catalogue.income_tilt * wealth[:, None] * np.where(age > 40, 1.4, 0.6)[:, None]
        + noise("category", 0.8, len(CATEGORIES))
    )
    loyalty = np.exp(noise("loyalty", 0.35))
    style = (known.region + known.occupation) % 4
    brand = (
        -0.45 * (np.clip(wealth, -1.5, 1.5)[:, None] - catalogue.brand_tier) ** 2
        + (0.4 + 0.8 * young)[:, None] * (catalogue.brand_style == style[:, None])
        + loyalty[:, None] * noise("brand", 0.9, law.brands)
    )
    elasticity = np.exp(0.15 - 0.3 * wealth + 0.35 * young * is_student + 0.3 * is_tight_family + noise("elasticity", 0.3))
    common = 0.35 * (np.clip(elasticity, 0.3, 3.0) - 1.2) + noise("prone", 0.4)
    by_form = np.column_stack(
        [
            0.35 * ((wealth > 0) & (age > 40)) - 0.1,
            0.30 * is_tight_family - 0.25 * (wealth > 1),
            0.40 * (known.gender == 0) * (age > 35) - 0.2,
            0.70 * young * known.has_channel[:, 0] - 0.3,
        ]
    )
    proneness = np.clip(np.exp(-0.25 + common[:, None] + by_form + noise("form", 0.45, len(FORMS))), 0.03, 2.5)
    sessions = (
        law.sessions_per_day
        * np.exp(0.35 * young - 0.15 * is_retired + 0.1 * (known.region == 2) - 0.1)
        * np.maximum(gammas(law.activity_shape, seed, "activity", users), 0.01)
    )
    is_busy = ~(is_student | is_retired)
    week = np.where(is_busy[:, None], np.array([0.85, 0.85, 0.85, 0.9, 1.0, 1.35, 1.2]), np.array([1.05, 1.05, 1.05, 1.0, 1.0, 0.95, 0.9]))
    week = week * np.exp(noise("weekday", 0.25, 7))
    return Traits(
        category_affinity=category,
        brand_affinity=brand,
        elasticity=np.clip(elasticity, 0.2, 4.0),
        proneness=proneness,
        sessions=np.minimum(sessions, 6.0),
        order_rate=law.order_rate * np.exp(0.25 * wealth * (age > 30) + noise("order rate", law.order_sigma)),
        patience=law.patience_days * np.exp(0.25 * is_retired - 0.2 * is_tight_family + noise("patience", law.patience_sigma)),
        weekday=week / week.mean(axis=1, keepdims=True),
        hour=np.column_stack([np.where(is_retired, 10.0, 12.7) + noise("noon", 1.0), 20.0 + young + noise("evening", 0.8)]),
        evening=np.where(is_busy, 0.65, 0.4),
        repeat=np.clip(0.3 + 0.1 * is_retired + noise("repeat", 0.12), 0.02, 0.8),
        notice=1 / (1 + np.exp(-(law.notice_mean + 0.5 * young * known.has_channel[:, 0] - 0.4 * is_student + noise("notice", 0.6)))),
        tolerance=law.tolerance * np.exp(0.2 * is_retired + noise("tolerance", 0.5)),
        irritation=law.irritation * np.exp(0.3 * (wealth > 1) + noise("irritation", 0.5)),
        switching=0.5 / (1 + np.exp(1.2 * (loyalty - 1.0) - 0.4 * (elasticity - 1.2) + noise("switching", 0.5))),
        review=np.clip(law.review_share * np.exp(noise("review", 0.6)), 0.0, 0.9),
        generosity=0.3 * side * (side > 0) + noise("generosity", 0.4),
    )


def _rises(distance: Any, width: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(-distance / width)))
