"""How well lists by item index foresee what users took, block by block."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from promoloop.recommenders.arrays import Integers, Lookup

JUDGED_AT = 10


def keys(taken: pa.Array, count_items: int) -> Integers:
    """Row · items + item of everything taken; `taken` holds a list of item indexes per row."""
    rows = np.repeat(np.arange(len(taken)), pc.list_value_length(taken).to_numpy(zero_copy_only=False))
    found: Integers = rows * count_items + taken.flatten().to_numpy(zero_copy_only=False)
    return found


def ndcg(items: Integers, taken: pa.Array, count_items: int) -> NDArray[np.float64]:
    """NDCG of each row of `items` (users × ranks, -1: none); every row has taken something."""
    relevant = pc.list_value_length(taken).to_numpy(zero_copy_only=False)
    places = np.arange(len(items))[:, None] * count_items + items
    is_hit = (items >= 0) & (Lookup(keys(taken, count_items)).find(places.ravel()).reshape(items.shape) >= 0)
    discounts = 1 / np.log2(np.arange(2, items.shape[1] + 2))
    found: NDArray[np.float64] = (is_hit * discounts).sum(axis=1) / np.cumsum(discounts)[np.minimum(relevant, items.shape[1]) - 1]
    return found
