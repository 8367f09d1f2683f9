"""Everything the report and the summary say, as plain data the size of promotions, segments, resources and runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def is_few(users: float | None, k: int) -> bool:
    """Whether so many users are a group too small for its size, or any figure of it, to be told. Nobody is not a group."""
    return users is not None and 0 < users < k


@dataclass(frozen=True)
class Batch:
    """Records of one batch, or of all."""

    batch_id: str
    received: int
    accepted: int
    rejected: int
    duplicates: int


@dataclass(frozen=True)
class Promotion:
    """A promotion as users read it."""

    promotion_id: str
    name: str
    form: str


@dataclass(frozen=True)
class Resource:
    """One limit of a plan. `capacity` and `used` in money (quantity: cost) or offers (count); `shadow_price`: objective per one more.

    `used` is None where it is the money of too few users to be told.
    """

    name: str
    capacity: float
    used: float | None
    shadow_price: float
    sentence: str
    quantity: str

    @property
    def share(self) -> float | None:
        """How much of it is used; None where that is withheld, or there is nothing to use."""
        return self.used / self.capacity if self.capacity and self.used is not None else None

    @property
    def step(self) -> float:
        """A round amount, at most a tenth of the capacity and at least 1: a shadow price holds for small changes alone."""
        return 10.0 ** max(0, math.floor(math.log10(max(self.capacity, 1.0) / 10)))

    @property
    def worth_of_step(self) -> float:
        """What a `step` more of it is expected to add to the objective."""
        return self.step * self.shadow_price


@dataclass(frozen=True)
class Certificate:
    """How good a plan is: its objective, the bound no plan can exceed, the gap between them, and the passes it took."""

    objective: float
    bound: float
    gap: float
    passes: int
    seconds_per_pass: float


@dataclass(frozen=True)
class Issued:
    """What a run issued of one promotion in one arm: users, redemptions, money expected and conceded."""

    promotion_id: str | None
    arm: str
    users: int
    is_sent: bool
    expected_value: float
    expected_cost: float
    redeemed: int
    conceded: float


@dataclass(frozen=True)
class Share:
    """Offers of a promotion sent to a segment; `users` is None where so few got it that the number is withheld."""

    promotion_id: str
    segment: str
    users: int | None


@dataclass(frozen=True)
class Effect:
    """One measured number with its 95 % interval; None where it is of too few users to be told."""

    run_id: str
    metric: str
    scope: str
    method: str
    value: float | None
    low: float | None
    high: float | None
    treated: int | None
    control: int | None
    is_causal: bool
    note: str

    @property
    def is_association(self) -> bool:
        """Whether it compares users who were chosen, not drawn: never to be read as an effect."""
        return self.method == "observational"

    @property
    def kind(self) -> str:
        """`all`, `promotion`, `form`, `segment`, `top` or `policy`."""
        return self.scope.partition(":")[0]

    @property
    def of(self) -> str:
        """The promotion, form, segment, percentage of users ranked best, or policy."""
        return self.scope.partition(":")[2]


@dataclass(frozen=True)
class Run:
    """One plan and what came of it. `k`: smallest group of users a figure of which is told; below it the figures are None."""

    run_id: str
    certificate: Certificate | None
    resources: tuple[Resource, ...]
    issued: tuple[Issued, ...]
    shares: tuple[Share, ...]
    effects: tuple[Effect, ...]
    k: int = 1

    @property
    def treated(self) -> tuple[Issued, ...]:
        """What was planned and sent."""
        return tuple(entry for entry in self.issued if entry.arm == "treatment" and entry.is_sent)

    def users_in(self, arm: str) -> int:
        """Users of the run in `arm`: treatment, control or explore."""
        return sum(entry.users for entry in self.issued if entry.arm == arm)

    @property
    def users_sent(self) -> int:
        """Users who were sent what was planned, once for each promotion."""
        return sum(entry.users for entry in self.treated)

    @property
    def expected_profit(self) -> float | None:
        """Incremental profit the sent offers of the plan were expected to bring, money."""
        return None if is_few(self.users_sent, self.k) else sum(entry.expected_value for entry in self.treated)

    @property
    def true_profit(self) -> float | None:
        """The same as the embedded shop knows it to be, money; None for any other source, or of too few users."""
        known = headline(self.effects, "true_incremental_profit", "all")
        return known.value if known else None

    @property
    def expected_cost(self) -> float | None:
        """Concessions the sent offers of the plan were expected to cost, money."""
        return None if is_few(self.users_sent, self.k) else sum(entry.expected_cost for entry in self.treated)

    @property
    def conceded(self) -> float | None:
        """Concessions actually made on all offers of the run, money."""
        sent = sum(entry.users for entry in self.issued if entry.is_sent)
        return None if is_few(sent, self.k) else sum(entry.conceded for entry in self.issued)

    @property
    def budget(self) -> Resource | None:
        """The total budget, where the plan has one."""
        return next((resource for resource in self.resources if resource.name == "budget"), None)

    @property
    def measured_profit(self) -> Effect | None:
        """The headline: incremental profit of the whole plan by the method first in METHODS."""
        return headline(self.effects, "incremental_profit", "all")


# The first is what the ratios of `evaluations` rest on; all but the last are unbiased under the logged randomisation.
METHODS = ("doubly_robust", "cuped", "difference", "ips", "observational")


def headline(effects: tuple[Effect, ...], metric: str, scope: str) -> Effect | None:
    """The effect by the method first in METHODS (unknown methods last, by name); None where nothing was measured."""
    found = [effect for effect in effects if effect.metric == metric and effect.scope == scope]
    rank = {method: place for place, method in enumerate(METHODS)}
    return min(found, key=lambda effect: (rank.get(effect.method, len(METHODS)), effect.method), default=None)


@dataclass(frozen=True)
class Recommended:
    """How many users of a segment have an item of this category at the top of their list; a group of fewer than k is not here."""

    segment: str
    category: str
    users: int


@dataclass(frozen=True)
class Facts:
    """The whole report. `runs` are in order of their day; the last is the one reported. `k`: smallest group of users whose size is told.

    `effects_rest_on`: what taught the latest run the effects of its offers (docs/offers.md); None where that is not on record.
    `was_issued_before`: the latest run was issued before its steps were last run, and so left as it was.
    """

    source: str
    total: Batch
    batches: tuple[Batch, ...]
    reasons: tuple[tuple[str, int], ...]
    promotions: Mapping[str, Promotion]
    runs: tuple[Run, ...]
    past: tuple[Effect, ...]
    segments: tuple[tuple[str, int], ...]
    recommended: tuple[Recommended, ...]
    k: int = 1
    cards: tuple[Mapping[str, Any], ...] = ()
    steps: tuple[tuple[str, float], ...] = ()
    violations: Mapping[str, int] = field(default_factory=dict)
    effects_rest_on: str | None = None
    was_issued_before: bool = False

    @property
    def latest(self) -> Run | None:
        """The run the report is about."""
        return self.runs[-1] if self.runs else None

    def name_of(self, promotion_id: str | None) -> str:
        """What users call the promotion."""
        if promotion_id is None:
            return "no offer"
        known = self.promotions.get(promotion_id)
        return known.name if known else promotion_id
