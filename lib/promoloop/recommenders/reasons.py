"""Why an item is on a list, in words its reader understands: from the user's own behaviour wherever there is any."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from promoloop.recommenders.arrays import Histories, Integers, Lookup
from promoloop.recommenders.catalogue import Catalogue

_AGAIN = ("You looked at it before", "You put it in your cart before", "You bought it before")
_BECAUSE = (("Because you looked at ", ""), ("Because you put ", " in your cart"), ("Because you bought ", ""))
_TASTE = "Like other things you chose"
_DRAWN = "Something new to try"
_POPULAR = "Popular with people like you"


def write(
    histories: Histories,
    catalogue: Catalogue,
    users: Integers,
    items: Integers,
    evidence: Integers,
    parts: dict[str, NDArray[np.float32]],
    is_drawn: NDArray[np.bool_],
) -> pa.Array:
    """The reason for each (user, item): drawn to explore, one's own, the own item that added most, own taste, or popularity."""
    width = len(catalogue)
    own = Lookup(histories.users * width + histories.items)
    own_kind = _kinds(histories, own.find(users * width + items))
    evidence_kind = _kinds(histories, own.find(users * width + np.maximum(evidence, 0)))
    has_history = histories.lengths[users] > 0
    is_by_factors = (evidence >= 0) & (evidence_kind >= 0) & (parts["als"] >= parts["popular"])
    kind = np.maximum(evidence_kind, 0)
    label = catalogue.labels.take(pa.array(np.maximum(evidence, 0)))
    before, after = (pa.array(words).take(pa.array(kind)) for words in zip(*_BECAUSE, strict=True))
    because = pc.binary_join_element_wise(before, label, after, "")
    again = pa.array(_AGAIN).take(pa.array(np.maximum(own_kind, 0)))
    is_own, is_explored = pa.array(own_kind >= 0), pa.array(is_drawn & (own_kind < 0))
    conditions = pa.StructArray.from_arrays([is_explored, is_own, pa.array(is_by_factors), pa.array(has_history)], ["a", "b", "c", "d"])
    return pc.case_when(conditions, pa.scalar(_DRAWN), again, because, pa.scalar(_TASTE), pa.scalar(_POPULAR))


def _kinds(histories: Histories, at: Integers) -> Integers:
    """Kind of the history's entry at each position, -1 for position -1."""
    return np.where(at >= 0, np.append(histories.kinds, -1)[at], -1)
