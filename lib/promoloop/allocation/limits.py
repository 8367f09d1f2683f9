"""The shop's limits as resources: promotions' budgets and inventories, the total, and the settings' own ceilings and floors.

`budget` (money, all promotions), `budget:PROMOTION`, `inventory:PROMOTION` (offers), `KIND:WHICH:cost` or `:offers` for a limit of
the settings, with `floor:` before it where it says at least, and `disparity:KIND:WHICH:most` and `:least`. A `reserve` share of every
ceiling is left to exploring. With N users of whom n are of group g, who get c of C offers, disparity d means

    (1 - d) (n / N) C <= c <= (1 + d) (n / N) C.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pyspark.sql import Row

from promoloop.allocation.cards import cell_name
from promoloop.allocation.problem import Floats, Problem, Quantity, Resource
from promoloop.errors import UserError
from promoloop.settings.plan import AllocationSettings, Limit

DISPARITY = "disparity:"  # begins the names of limits that compare groups: no amount is used up
_PROMOTION_KINDS = {"promotion": "promotion_id", "form": "form", "category": "scope_category"}


def problem_of(
    promotions: Sequence[Mapping[str, Any]],
    own: AllocationSettings,
    reserve: float,
    cells: Sequence[Row] = (),
    users_by_cell: Floats | None = None,
) -> Problem:
    """The programme of `promotions` (promotion_id, budget, inventory, form, scope_category) for users of the kinds `cells`.

    `users_by_cell`: how many there are of each kind, for limits of disparity.

    Raises UserError for a floor on what nobody offers.
    """
    ordered = sorted(promotions, key=lambda promotion: str(promotion["promotion_id"]))
    names, open_share = tuple(promotion["promotion_id"] for promotion in ordered), 1 - reserve
    total = total_budget(ordered, own)
    resources = [] if total is None else [Resource("budget", "cost", total * open_share, np.ones(len(names)))]
    for i, promotion in enumerate(ordered):
        alone = np.zeros(len(names))
        alone[i] = 1.0
        if promotion["budget"] is not None:
            resources.append(Resource(f"budget:{names[i]}", "cost", float(promotion["budget"]) * open_share, alone))
        if promotion["inventory"] is not None:
            units = float(np.floor(int(promotion["inventory"]) * open_share + 1e-9))
            resources.append(Resource(f"inventory:{names[i]}", "count", units, alone))
    minimums = np.zeros(len(names))
    for limit in itertools.chain.from_iterable(_each(one, ordered, cells) for one in own.limits):
        asked = limit
        if limit.once_it_runs:  # what is not on offer does not run
            asked = limit.model_copy(update={"at_least": None})
            minimums = np.maximum(minimums, (limit.at_least or 0.0) * _matching(asked, ordered, "promotion_id"))
        resources.extend(_of(asked, ordered, cells, open_share))
        if limit.disparity is not None:
            resources.extend(_disparity(limit, cells, users_by_cell, len(names)))
    return Problem(
        names,
        tuple(resources),
        tuple(cell_name(cell) for cell in cells) or ("all",),
        own.offers_per_user,
        exclusive_groups(ordered, own.exclusive),
        tuple(minimums.tolist()) if minimums.any() else None,
    )


def total_budget(promotions: Sequence[Mapping[str, Any]], own: AllocationSettings) -> float | None:
    """What a plan may concede in all, money: `own.budget`, or `own.budget_share` of the promotions' budgets; None where none has any."""
    budgets = [float(promotion["budget"]) for promotion in promotions if promotion["budget"] is not None]
    return own.budget if own.budget is not None else own.budget_share * sum(budgets) if budgets else None


def _each(limit: Limit, promotions: Sequence[Mapping[str, Any]], cells: Sequence[Row]) -> list[Limit]:
    """`limit`, or where it is about `*` one for each promotion, form, segment, ... there is."""
    if limit.which != "*":
        return [limit]
    column = _PROMOTION_KINDS.get(limit.by)
    there = {row[column] for row in promotions} if column else {cell[limit.by] for cell in cells}
    return [limit.model_copy(update={"which": which}) for which in sorted(which for which in there if which is not None)]


def _disparity(limit: Limit, cells: Sequence[Row], users_by_cell: Floats | None, promotions: int) -> list[Resource]:
    if users_by_cell is None:
        raise ValueError("a limit of disparity needs to know how many users there are")
    group = _matching(limit, [cell.asDict() for cell in cells], limit.by)
    part, most = float(users_by_cell @ group) / max(float(users_by_cell.sum()), 1.0), limit.disparity or 0.0
    name, every = f"{DISPARITY}{limit.by}:{limit.which}", np.ones(promotions)
    over, under = group - (1 + most) * part, (1 - most) * part - group
    return [Resource(f"{name}:most", "count", 0.0, every, over), Resource(f"{name}:least", "count", 0.0, every, under)]


def exclusive_groups(promotions: Sequence[Mapping[str, Any]], groups: Sequence[Sequence[str]]) -> tuple[int, ...] | None:
    """A number for each promotion; those of one group share it. Raises UserError for a promotion in two groups."""
    if not groups:
        return None
    labels = list(range(len(promotions)))
    for number, group in enumerate(groups):
        for i, promotion in enumerate(promotions):
            if promotion["promotion_id"] in group or promotion["form"] in group:
                if labels[i] >= len(promotions):
                    raise UserError(f"setting allocation.exclusive: promotion {promotion['promotion_id']} is in two groups")
                labels[i] = len(promotions) + number
    return tuple(labels)


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
