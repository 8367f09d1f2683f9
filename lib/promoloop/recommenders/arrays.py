"""Users' histories as flat numpy arrays: what every pass over users works on."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Histories:
    """Histories of a block of users, flat: those of user b lie at offsets[b] .. offsets[b + 1]."""

    offsets: Integers
    items: Integers
    strengths: Floats
    purchases: Integers
    days: Integers
    kinds: Integers

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """Items in each user's history."""
        return np.diff(self.offsets)

    @property
    def users(self) -> Integers:
        """Row in the block of each entry."""
        return np.repeat(np.arange(len(self)), self.lengths)


class Lookup:
    """Values by integer key."""

    def __init__(self, keys: Integers) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def find(self, wanted: Integers) -> Integers:
        """Position among the keys of each of `wanted`, -1 where it is not there."""
        if not len(self._keys):
            return np.full(len(wanted), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[at] == wanted, self._order[at], -1)


def flat(batch: pa.RecordBatch) -> Histories:
    """The histories of a batch as flat arrays."""
    lists = batch.column("history")
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    entries = lists.flatten()
    column = {name: entries.field(name).to_numpy(zero_copy_only=False) for name in ("strength", "item", "purchases", "days", "kind")}
    return Histories(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=column["item"].astype(np.int64),
        strengths=column["strength"].astype(np.float32),
        purchases=column["purchases"].astype(np.int64),
        days=column["days"].astype(np.int64),
        kinds=column["kind"].astype(np.int64),
    )


def uniforms(hashes: Integers, numbers: Integers) -> NDArray[np.float64]:
    """A draw from [0, 1) for each pair of a 64-bit hash and a number, the same wherever it is drawn (splitmix64)."""
    with np.errstate(over="ignore"):
        state = hashes.astype(np.int64).view(np.uint64) + (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        drawn: NDArray[np.float64] = ((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return drawn
