"""Which design of a front to take."""

import numpy as np

from promoloop.allocation.design.designs import Front
from promoloop.errors import UserError


def chosen(front: Front, how: str) -> int:
    """The number (1: the most profitable) of the design that `how` asks for: profit, satisfaction, balanced, or a number.

    balanced is the design nearest to the best of both, each measured from its least to its most on the front. Raises UserError for
    a number there is not.
    """
    count = len(front.designs)
    if how == "profit":
        return 1
    if how == "satisfaction":
        return count
    if how == "balanced":
        aims = np.array([[one.judged.profit, one.judged.satisfaction] for one in front.designs])
        width = np.maximum(np.ptp(aims, axis=0), 1e-12)
        return int(np.argmin(np.linalg.norm((aims.max(0) - aims) / width, axis=1))) + 1
    if how.isdigit() and 0 <= int(how) <= count:
        return int(how)
    raise UserError(f"design.choose={how}: the front has designs 1 to {count} (0: today's promotions); or profit, satisfaction, balanced")
