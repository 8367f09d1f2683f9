"""The programme as data: resources are linear forms of how often, and at what cost, each promotion is given in each cell.

A *cell* is a kind of user (a combination of segment, region, channel); where no limit looks at kinds of users there is one
cell. A resource uses, for one offer of promotion p to a user of cell g at expected cost c,

    a = by_cell[g] * by_promotion[p] * (c if it measures cost else 1)

Everything the driver holds is the size of promotions, cells and resources.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]
Quantity = Literal["cost", "count"]


@dataclass(frozen=True)
class Resource:
    """One limit: at most `capacity` (at least, where `is_floor`) of cost (money) or of offers."""

    name: str
    quantity: Quantity
    capacity: float
    by_promotion: Floats
    by_cell: Floats | None = None
    is_floor: bool = False


@dataclass(frozen=True)
class Problem:
    """Promotions, cells of users, resources, and how many offers one user may get.

    Of the promotions that share a number in `exclusive` a user gets at most one; None: any. `minimums`: how many offers each promotion
    must give once it gives any (0: no such demand); None: no demand at all (`running`).
    """

    promotions: tuple[str, ...]
    resources: tuple[Resource, ...]
    cells: tuple[str, ...] = ("all",)
    offers_per_user: int = 1
    exclusive: tuple[int, ...] | None = None
    minimums: tuple[float, ...] | None = None

    def scaled(self, share: float) -> "Problem":
        """The same limits for a `share` of the users."""
        return replace(self, resources=tuple(replace(r, capacity=r.capacity * share) for r in self.resources))

    @cached_property
    def groups(self) -> list[npt.NDArray[np.int64]]:
        """Promotions by exclusive group, in order of their first; without `exclusive` each is a group of its own."""
        labels = range(len(self.promotions)) if self.exclusive is None else self.exclusive
        members: dict[int, list[int]] = {}
        for promotion, label in enumerate(labels):
            members.setdefault(label, []).append(promotion)
        return [np.array(one) for one in members.values()]

    @cached_property
    def group_of(self) -> npt.NDArray[np.int64]:
        """The number of each promotion's group in `groups`."""
        labels = np.empty(len(self.promotions), np.int64)
        for number, members in enumerate(self.groups):
            labels[members] = number
        return labels

    @cached_property
    def sign(self) -> Floats:
        """+1 for a ceiling, -1 for a floor: sign * use <= sign * capacity."""
        return np.array([-1.0 if resource.is_floor else 1.0 for resource in self.resources])

    @cached_property
    def right(self) -> Floats:
        """Right-hand sides of sign * use <= right."""
        return np.asarray(self.sign * np.array([resource.capacity for resource in self.resources]))

    @cached_property
    def cost_form(self) -> sp.csr_matrix:
        """Signed use per unit of cost: resources x (cells * promotions)."""
        return self._form("cost")

    @cached_property
    def count_form(self) -> sp.csr_matrix:
        """Signed use per offer: resources x (cells * promotions)."""
        return self._form("count")

    def _form(self, quantity: Quantity) -> sp.csr_matrix:
        rows, columns, data = [], [], []
        for k, resource in enumerate(self.resources):
            if resource.quantity != quantity:
                continue
            by_cell = np.ones(len(self.cells)) if resource.by_cell is None else resource.by_cell
            g, p = np.nonzero(by_cell)[0], np.nonzero(resource.by_promotion)[0]
            columns.append((g[:, None] * len(self.promotions) + p).ravel())
            data.append(self.sign[k] * (by_cell[g][:, None] * resource.by_promotion[p]).ravel())
            rows.append(np.full(len(columns[-1]), k))
        shape = (len(self.resources), len(self.cells) * len(self.promotions))
        if not rows:
            return sp.csr_matrix(shape)
        return sp.csr_matrix((np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))), shape)

    def unit_prices(self, prices: Floats) -> tuple[Floats, Floats]:
        """What `prices` (one per resource) charge per unit of cost and per offer: two arrays cells x promotions."""
        shape = (len(self.cells), len(self.promotions))
        return (prices @ self.cost_form).reshape(shape), (prices @ self.count_form).reshape(shape)

    def use(self, cost: Floats, count: Floats) -> Floats:
        """Signed use of each resource by totals of cost and count per (cell, promotion), any leading axes."""
        flat_cost, flat_count = cost.reshape(-1, self.cost_form.shape[1]), count.reshape(-1, self.cost_form.shape[1])
        used = (self.cost_form @ flat_cost.T + self.count_form @ flat_count.T).T
        return np.asarray(used).reshape((*cost.shape[:-2], len(self.resources)))
