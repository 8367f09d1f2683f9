"""Why an item is on a list, in words its reader understands: from the user's own behaviour wherever there is any."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from promoloop.recommenders.arrays import Histories, Integers, Lookup
from promoloop.recommenders.catalogue import Catalogue

_AGAIN = ("You looked at it before", "You put it in your cart before", "You bought it before")
_DID = (("looked at ", ""), ("put ", " in your cart"), ("bought ", ""))
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
    """The reason for each (user, item): drawn to explore, one's own, the own items that added most, own taste, or popularity.

    `evidence`: the two own items that added most (pairs × 2), -1: none.
    """
    width = len(catalogue)
    own = Lookup(histories.users * width + histories.items)
    own_kind = _kinds(histories, own.find(users * width + items))
    evidence_kinds = _kinds(histories, own.find((users[:, None] * width + np.maximum(evidence, 0)).ravel())).reshape(evidence.shape)
    has_history = histories.lengths[users] > 0
    is_by_factors = (evidence[:, 0] >= 0) & (evidence_kinds[:, 0] >= 0) & (parts["als"] >= parts["popular"])
    because = _because(catalogue, evidence, evidence_kinds)
    again = pa.array(_AGAIN).take(pa.array(np.maximum(own_kind, 0)))
    is_own, is_explored = pa.array(own_kind >= 0), pa.array(is_drawn & (own_kind < 0))
    conditions = pa.StructArray.from_arrays([is_explored, is_own, pa.array(is_by_factors), pa.array(has_history)], ["a", "b", "c", "d"])
    return pc.case_when(conditions, pa.scalar(_DRAWN), again, because, pa.scalar(_TASTE), pa.scalar(_POPULAR))


def _because(catalogue: Catalogue, evidence: Integers, kinds: Integers) -> pa.Array:
    """Because you bought Bread (and Butter, or: and looked at Butter); the second only where there is one and it reads differently."""
    kind, labels = np.maximum(kinds, 0), [catalogue.labels.take(pa.array(np.maximum(evidence[:, place], 0))) for place in (0, 1)]
    has_second = pc.and_(pa.array(evidence[:, 1] >= 0), pc.not_equal(labels[0], labels[1]))
    is_same = pa.array(kind[:, 0] == kind[:, 1])
    verbs, afters = ([pa.array(words).take(pa.array(kind[:, place])) for place in (0, 1)] for words in zip(*_DID, strict=True))
    one = pc.binary_join_element_wise("Because you ", verbs[0], labels[0], afters[0], "")
    alike = pc.binary_join_element_wise("Because you ", verbs[0], labels[0], " and ", labels[1], afters[0], "")
    unlike = pc.binary_join_element_wise(one, " and ", verbs[1], labels[1], afters[1], "")
    return pc.if_else(has_second, pc.if_else(is_same, alike, unlike), one)


def _kinds(histories: Histories, at: Integers) -> Integers:
    """Kind of the history's entry at each position, -1 for position -1."""
    return np.where(at >= 0, np.append(histories.kinds, -1)[at], -1)
