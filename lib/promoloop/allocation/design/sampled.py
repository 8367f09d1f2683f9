"""The users that designs are judged on, as arrays: variants of promotions down, users across. Bounded by design.sample_users."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from promoloop.allocation.pricing import Array
from promoloop.allocation.problem import Floats
from promoloop.allocation.values import kinds_used, worth
from promoloop.settings.plan import AllocationSettings


@dataclass(frozen=True)
class Sampled:
    """Variants x users; `value` is -inf (the others 0) where a user may not get the promotion. `weight`: users each stands for."""

    value: Floats
    cost: Floats
    profit: Floats
    satisfaction: Floats
    cell: Array
    cells: list[Row]
    weight: float


def collected(scored: DataFrame, own: AllocationSettings, variants: int, weight: float) -> Sampled:
    """Bring `variants.scored` to the driver. Users are ordered by a hash of their ids."""
    kinds = kinds_used(own)
    numbers = ("expected_cost", "expected_profit", "satisfaction")
    table = scored.select(F.xxhash64("user_id").alias("user"), "variant", worth(own).alias("value"), *numbers, *kinds).toArrow()
    ids, user = np.unique(table["user"].to_numpy(), return_inverse=True)
    at = table["variant"].to_numpy(), user
    filled = {}
    for name, empty in (("value", -np.inf), *((number, 0.0) for number in numbers)):
        filled[name] = np.full((variants, len(ids)), empty)
        filled[name][at] = table[name].to_numpy()
    cell, cells = _cells(table, ids, kinds)
    return Sampled(filled["value"], filled["expected_cost"], filled["expected_profit"], filled["satisfaction"], cell, cells, weight)


def _cells(table: pa.Table, ids: Array, kinds: tuple[str, ...]) -> tuple[Array, list[Row]]:
    """The cell of each user, and the kinds that cells are."""
    if not kinds:
        return np.zeros(len(ids), np.int16), []
    people = table.group_by(["user", *kinds]).aggregate([]).to_pylist()
    found = sorted({tuple(person[kind] for kind in kinds) for person in people}, key=lambda cell: [str(part) for part in cell])
    number = {cell: place for place, cell in enumerate(found)}
    by_user = {person["user"]: number[tuple(person[kind] for kind in kinds)] for person in people}
    cells = [Row(**dict(zip(kinds, cell, strict=True))) for cell in found]
    return np.array([by_user[one] for one in ids.tolist()], np.int16), cells
