"""The plan of the loop: which jobs run in which order, for which day, and which tables each reads and writes."""

import ast
from dataclasses import dataclass
from datetime import date, timedelta

from promoloop import home
from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.tables import TABLES, Table

_OPENING = ("simulate_shop", "ingest_events", "clean_events")
_PLANNING = (
    "build_features",
    "train_profiles",
    "score_profiles",
    "train_recommender",
    "recommend_items",
    "score_offers",
    "allocate_promotions",
    "issue_offers",
)
_OUTCOME = (*_OPENING, "evaluate_promotions")
JOBS = (*_OPENING, *_PLANNING, "evaluate_promotions")
PLAN_JOBS = (*_PLANNING, "evaluate_promotions")  # what makes a plan and judges it, from events on


@dataclass(frozen=True)
class Step:
    """One run of one job within the loop."""

    job: str
    cycle: int
    as_of: date
    is_outcome: bool = False

    @property
    def name(self) -> str:
        """The job, and `.outcome` where it runs a second time in its cycle, on what the offers brought about."""
        return f"{self.job}.outcome" if self.is_outcome and self.job in _OPENING else self.job

    @property
    def label(self) -> str:
        """Unique in a plan, as `--from` and `--to` take it: the name, with the cycle before it from the second on."""
        return self.name if self.cycle == 1 else f"{self.cycle}:{self.name}"

    def settings(self, settings: Settings) -> Settings:
        """The settings of the run with this step's day."""
        return settings.model_copy(update={"run": settings.run.model_copy(update={"as_of": self.as_of})})


def is_embedded(settings: Settings) -> bool:
    """Whether the source is the embedded shop, which reacts to what is issued."""
    return settings.source.name == "shop"


def plan(settings: Settings, cycles: int = 1) -> tuple[Step, ...]:
    """Every step of `cycles` cycles, in order.

    The embedded shop answers each plan with `shop.continue_days` more days, and the next cycle plans for the day after those. Any
    other log is what it is: its events are read once, a plan is made, and what can be evaluated is. Raises UserError where such a
    log is asked for a second cycle.
    """
    first = settings.run.as_of
    if not is_embedded(settings):
        if cycles > 1:
            raise UserError(f"--cycles {cycles}: source {settings.source.name} cannot react to offers; only the embedded shop can")
        return tuple(Step(job, 1, first) for job in (*_OPENING[1:], *_PLANNING, "evaluate_promotions"))
    steps: list[Step] = [Step(job, 1, first) for job in _OPENING]
    for cycle in range(1, cycles + 1):
        as_of = first + timedelta(days=settings.shop.continue_days * (cycle - 1))
        steps += [Step(job, cycle, as_of) for job in _PLANNING]
        steps += [Step(job, cycle, as_of, is_outcome=True) for job in _OUTCOME]
    return tuple(steps)


def between(steps: tuple[Step, ...], first: str | None, last: str | None) -> tuple[Step, ...]:
    """The steps from label `first` to label `last`, both included. Raises UserError naming a label that is not in the plan."""
    labels = [step.label for step in steps]
    for label in (first, last):
        if label is not None and label not in labels:
            raise UserError(f"no step {label!r} in this run; its steps: {', '.join(labels)}")
    start = labels.index(first) if first else 0
    end = labels.index(last) if last else len(labels) - 1
    if end < start:
        raise UserError(f"--to {last} comes before --from {first}")
    return steps[start : end + 1]


def source_code(job: str) -> str:
    """The text of `jobs/<job>.py`. Raises UserError naming a job there is not."""
    file = home.folder("jobs") / f"{job}.py"
    if not file.is_file():
        raise UserError(f"no step {job!r}; steps: {', '.join(JOBS)}")
    return file.read_text()


def reads(job: str) -> tuple[Table, ...]:
    """Tables whose constants the job's code names and which another job writes."""
    nodes = ast.walk(ast.parse(source_code(job)))
    named = {node.attr if isinstance(node, ast.Attribute) else node.id for node in nodes if isinstance(node, ast.Attribute | ast.Name)}
    return tuple(table for table in TABLES if table.name.upper() in named and table.written_by != job)


def writes(job: str) -> tuple[Table, ...]:
    """Tables the job is the writer of."""
    return tuple(table for table in TABLES if table.written_by == job)
