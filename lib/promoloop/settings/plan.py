"""Settings of the plan: allocation, execution, evaluation, report."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from promoloop.settings.section import Section

Form = Literal["spend_threshold", "discount", "gift", "flash_sale"]


class Limit(Section):
    """A ceiling or a floor of the plan beside the promotions' own, or how far a group's part may be from its part of all users."""

    by: Literal["promotion", "form", "category", "segment", "region", "channel"]
    which: str = Field(description="The promotion's id, the form, the segment, ...; `*`: a limit for each there is")
    measure: Literal["cost", "offers"] = Field(description="Expected concession (money), or number of offers")
    at_most: float | None = Field(default=None, ge=0)
    at_least: float | None = Field(default=None, ge=0)
    once_it_runs: bool = Field(default=False, description="at_least holds only if the promotion is given to anybody (promotion, offers)")
    disparity: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Most that the group's offers per user may differ from everybody's, as a share (users, offers)",
    )

    @model_validator(mode="after")
    def _says_something(self) -> "Limit":
        if self.at_most is None and self.at_least is None and self.disparity is None:
            raise ValueError("a limit needs at_most, at_least or disparity")
        if self.once_it_runs and (self.by != "promotion" or self.measure != "offers" or self.at_least is None):
            raise ValueError("once_it_runs goes with by = promotion, measure = offers and at_least")
        if self.disparity is not None and (self.by not in ("segment", "region", "channel") or self.measure != "offers"):
            raise ValueError("disparity goes with by = segment, region or channel, and measure = offers")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is more than at_most {self.at_most:g}")
        return self


class AllocationSettings(Section):
    """The optimiser and its resources."""

    budget: float | None = Field(default=None, ge=0, description="Total expected concession of a plan, money; else budget_share counts")
    budget_share: float = Field(ge=0, le=1, description="Total budget as a share of the sum of the promotions' budgets")
    limits: tuple[Limit, ...] = Field(default=(), description="Further ceilings and floors")
    offers_per_user: int = Field(ge=1, le=5, description="Most offers one user gets by a plan")
    exclusive: tuple[tuple[str, ...], ...] = Field(default=(), description="Groups of promotions or forms of which a user gets one at most")
    most_in_7_days: int | None = Field(default=None, ge=0, description="Most offers a user is sent in 7 days, those of before counted")
    most_in_30_days: int | None = Field(default=None, ge=0, description="The same in 30 days")
    cool_down_days: dict[Form, int] = Field(default={}, description="Days a form rests for a user after its last offer, by form")
    weight_profit: float = Field(ge=0, description="Weight of expected incremental profit in the objective")
    weight_revenue: float = Field(ge=0, description="Weight of expected incremental revenue")
    weight_satisfaction: float = Field(ge=0, description="Weight of satisfaction (0 to 1), money")
    caution: float = Field(ge=0, description="Standard errors taken off the expected profit: 0 plans by the mean")
    block_users: int = Field(ge=1, description="Users packed in a block; bounds the memory of a task")
    sample_users: int = Field(ge=1, description="Users whose prices the driver finds first; bounds its memory")
    gap: float = Field(ge=0, description="Relative gap at which the search stops")
    max_passes: int = Field(ge=1, description="Most passes over all users")
    solver: Literal["highs", "cbc"] = Field(description="Solver of the master programme")
    method: Literal["prices", "genetic"] = Field(description="Allocator: prices from a sample's dual, or bred by a genetic algorithm")
    genetic_population: int = Field(ge=4, description="Genetic: price vectors bred at a time; a full pass tries them all")
    genetic_generations: int = Field(ge=1, description="Genetic: generations on the sample")


class DesignSettings(Section):
    """Campaign design: what promotions could be, and how long to breed."""

    sample_users: int = Field(ge=10, description="About how many users designs are judged on; bounds the driver's memory")
    depths: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(min_length=1, description="Depths to try, shares of an order")
    thresholds: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1, description="Thresholds to try, mean orders; 0: none")
    days: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, description="Windows to try, days")
    budget_levels: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        min_length=1, description="Budgets of a promotion to try, shares of the total; 1: no limit of its own"
    )
    population: int = Field(ge=4, description="Designs bred at a time")
    generations: int = Field(ge=1, description="Generations")
    choose: str = Field(description="Design to solve in full: profit, satisfaction, balanced, or its number on the front (0: as today)")


class SimulationSettings(Section):
    """Playing a plan before it is issued."""

    replications: int = Field(ge=20, le=10_000, description="Times a plan is played")
    shared_share: float = Field(ge=0, le=1, description="Share of the variance of profits common to all users: the model's error")


class ExecutionSettings(Section):
    """How a plan is issued."""

    holdout_share: float = Field(
        ge=0, lt=1, description="Share of users no plan ever writes to, the same in every run: what is the loop worth"
    )
    control_share: float = Field(ge=0, lt=1, description="Share of planned users whose offer is withheld, to measure against")
    explore_share: float = Field(ge=0, lt=1, description="Share of users left out of the plan to try a random promotion, or none, on them")
    explore_reserve: float = Field(ge=0, lt=1, description="Share of every capacity that the plan leaves to exploring")


class EvaluationSettings(Section):
    """How effects are measured."""

    lookback_days: int = Field(ge=1, description="Offers that closed at most this long before the end of the log are (re)evaluated")
    baseline_days: int = Field(ge=1, description="Days before an offer whose profit adjusts the comparison")
    min_effective_users: int = Field(ge=2, description="Smallest (effective) number of users in an arm; below it an estimate is refused")


class ReportSettings(Section):
    """The report page."""

    title: str = Field(min_length=1, description="What the page is headed")
    currency: str = Field(max_length=4, description="Written before amounts of money; empty: none")
