"""`promoloop simulate-plan`: the day's plan played before it is issued, by the response model and, on the embedded shop, by the truth."""

from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Group, RenderableType
from rich.table import Table as Grid

from promoloop import tables
from promoloop.allocation.playing import OFFER, Played, play
from promoloop.cli import journal, loop
from promoloop.errors import UserError
from promoloop.offers import arms
from promoloop.report import words
from promoloop.settings import Settings

_FIGURES = ("redemptions", "spend", "profit")


def simulated(spark: SparkSession, settings: Settings) -> RenderableType:
    """Play the plan of run.as_of, write simulation.json; return what to print. Raises UserError where there is no plan."""
    plan, limits = _plan(spark, settings), _limits(spark, settings)
    own, run_id = settings.simulation, settings.run.run_id
    day = F.col("as_of_on") == F.lit(settings.run.as_of)
    scores = tables.read(spark, settings, tables.OFFER_SCORES).where(day)
    played = {"response model": _of(plan.join(scores.select(*OFFER), ["user_id", "promotion_id"]), run_id, settings)}
    if loop.is_embedded(settings) and tables.exists(spark, settings, tables.TRUTH_OFFERS):
        truths = tables.read(spark, settings, tables.TRUTH_OFFERS).where(day).withColumn("profit_deviation", F.lit(0.0))
        true = plan.join(truths.select(*OFFER), ["user_id", "promotion_id"])
        if not true.isEmpty():
            played["truth"] = _of(true, run_id, settings)
    planned = {row["promotion_id"]: row["count"] for row in plan.groupBy("promotion_id").count().collect()}
    target = settings.paths.out_folder / "simulation.json"
    told = {source: {name: _figures(found, name, limits) for name in (None, *found.promotions)} for source, found in played.items()}
    by_name = {source: {name or "all": figures for name, figures in figures.items()} for source, figures in told.items()}
    journal.write_json(target, {"run_id": run_id, "replications": own.replications, "shared_share": own.shared_share, **by_name})
    missing = {source: sum(planned.values()) - int(found.offers.sum()) for source, found in played.items()}
    return _shown(played, limits, missing, settings, target)


def _plan(spark: SparkSession, settings: Settings) -> DataFrame:
    """user_id and promotion_id of the plan's offers that will be sent: those drawn as controls are withheld."""
    run_id = settings.run.run_id
    own = tables.read(spark, settings, tables.ALLOCATIONS).where(F.col("run_id") == run_id).select("user_id", "promotion_id")
    if own.isEmpty():
        raise UserError(f"there is no plan {run_id}: run allocate_promotions first")
    return own.where(~arms.is_control(F.col("user_id"), run_id, settings.execution.control_share))


def _limits(spark: SparkSession, settings: Settings) -> dict[str, float]:
    """Capacity by resource."""
    resources = tables.read(spark, settings, tables.ALLOCATION_RESOURCES).where(F.col("run_id") == settings.run.run_id)
    return {row["resource"]: row["capacity"] for row in resources.where("resource <> 'plan'").select("resource", "capacity").collect()}


def _of(offers: DataFrame, run_id: str, settings: Settings) -> Played:
    return play(offers, run_id, settings.simulation.replications, settings.simulation.shared_share)


def _figures(found: Played, promotion: str | None, limits: dict[str, float]) -> dict[str, Any]:
    """Offers, ranges, and the chance to exceed its budget (and stock) of one promotion, or of all."""
    offers = int(found.offers.sum()) if promotion is None else int(found.offers[found.promotions.index(promotion)])
    figures: dict[str, Any] = {"offers": offers}
    for name in _FIGURES:
        one = found.range(name, promotion)
        figures[name] = {"mean": one.mean, "low": one.low, "high": one.high}
    budget = limits.get("budget" if promotion is None else f"budget:{promotion}")
    stock = None if promotion is None else limits.get(f"inventory:{promotion}")
    if budget is not None:
        figures |= {"budget": budget, "chance_over_budget": found.chance_over(budget, promotion)}
    if stock is not None:
        figures |= {"inventory": stock, "chance_over_inventory": float(offers > stock)}
    return figures


def _shown(
    played: dict[str, Played], limits: dict[str, float], missing: dict[str, int], settings: Settings, target: Path
) -> RenderableType:
    parts: list[RenderableType] = []
    for source, found in played.items():
        parts += [f"by the {source}", _grid(found, limits, settings.report.currency), ""]
        if missing[source]:
            parts += [f"{words.count(missing[source])} planned offers are unknown to the {source} and left out", ""]
    count = words.count(settings.simulation.replications)
    parts.append(
        f"{count} replications, 95 % intervals; users drawn as controls get nothing, explorers are not in the plan\n\nfigures  {target}"
    )
    return Group(*parts)


def _grid(found: Played, limits: dict[str, float], currency: str) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for heading in ("promotion", "offers", "redemptions", "spend", "budget", "chance over", "stock", "incremental profit"):
        grid.add_column(heading, justify="left" if heading == "promotion" else "right", no_wrap=True)
    for promotion in (*found.promotions, None):
        told = _figures(found, promotion, limits)
        redemptions, spend, profit = (told[name] for name in _FIGURES)
        grid.add_row(
            words.short(promotion or "all"),
            words.count(told["offers"]),
            f"{words.count(redemptions['mean'])} ({words.count(redemptions['low'])} to {words.count(redemptions['high'])})",
            _money(spend, currency),
            words.money(told.get("budget"), currency),
            words.percent(told.get("chance_over_budget"), 1),
            words.count(told.get("inventory")),
            _money(profit, currency),
        )
    return grid


def _money(one: dict[str, float], currency: str) -> str:
    return f"{words.money(one['mean'], currency)} ({words.interval(one['low'], one['high'], currency)})"
