"""The shop's limits as resources: promotions' budgets and inventories, the total, and the settings' own ceilings and floors.

`budget` (money, all promotions), `budget:PROMOTION`, `inventory:PROMOTION` (offers), `KIND:WHICH:cost` or `:offers` for a limit of
the settings, with `floor:` before it where it says at least. A `reserve` share of every ceiling is left to exploring.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pyspark.sql import Row

from promoloop.allocation.problem import Floats, Problem, Quantity, Resource
from promoloop.errors import UserError
from promoloop.settings.plan import AllocationSettings, Limit

_PROMOTION_KINDS = {"promotion": "promotion_id", "form": "form", "category": "scope_category"}


def problem_of(promotions: Sequence[Mapping[str, Any]], own: AllocationSettings, reserve: float, cells: Sequence[Row] = ()) -> Problem:
    """The programme of `promotions` (promotion_id, budget, inventory, form, scope_category) for users of the kinds `cells`.

    The total is `own.budget` (money), or without one `own.budget_share` of the sum of the promotions' budgets; no total where none
    has any. Raises UserError for a floor on what nobody offers.
    """
    ordered = sorted(promotions, key=lambda promotion: str(promotion["promotion_id"]))
    names, open_share = tuple(promotion["promotion_id"] for promotion in ordered), 1 - reserve
    budgets = [float(promotion["budget"]) for promotion in ordered if promotion["budget"] is not None]
    total = own.budget if own.budget is not None else own.budget_share * sum(budgets) if budgets else None
    resources = [] if total is None else [Resource("budget", "cost", total * open_share, np.ones(len(names)))]
    for i, promotion in enumerate(ordered):
        alone = np.zeros(len(names))
        alone[i] = 1.0
        if promotion["budget"] is not None:
            resources.append(Resource(f"budget:{names[i]}", "cost", float(promotion["budget"]) * open_share, alone))
        if promotion["inventory"] is not None:
            units = float(np.floor(int(promotion["inventory"]) * open_share + 1e-9))
            resources.append(Resource(f"inventory:{names[i]}", "count", units, alone))
    for limit in own.limits:
        resources.extend(_of(limit, ordered, cells, open_share))
    return Problem(names, tuple(resources), tuple("/".join(map(str, cell)) for cell in cells) or ("all",))


def _of(limit: Limit, promotions: Sequence[Mapping[str, Any]], cells: Sequence[Row], open_share: float) -> list[Resource]:
    by_promotion, by_cell = np.ones(len(promotions)), None
    if limit.by in _PROMOTION_KINDS:
        by_promotion = _matching(limit, promotions, _PROMOTION_KINDS[limit.by])
    else:
        by_cell = _matching(limit, [cell.asDict() for cell in cells], limit.by)
    name, quantity = f"{limit.by}:{limit.which}:{limit.measure}", _QUANTITIES[limit.measure]
    found = [] if limit.at_most is None else [Resource(name, quantity, limit.at_most * open_share, by_promotion, by_cell)]
    if limit.at_least is not None:
        found.append(Resource(f"floor:{name}", quantity, limit.at_least, by_promotion, by_cell, is_floor=True))
    return found


_QUANTITIES: dict[str, Quantity] = {"cost": "cost", "offers": "count"}


def _matching(limit: Limit, rows: Sequence[Mapping[str, Any]], column: str) -> Floats:
    matches = np.array([1.0 if row[column] == limit.which else 0.0 for row in rows])
    if limit.at_least and not matches.any():
        raise UserError(f"setting allocation.limits: at least {limit.at_least:g} for {limit.by} {limit.which}, but nothing on offer has it")
    return matches
