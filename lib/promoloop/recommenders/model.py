"""What training leaves behind: item-sized, as one JSON document for the registry. Nothing in it is per user."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from promoloop.settings.learning import RecommendersSettings

NAME = "recommender"
TRAINED_BY = "train_recommender"
_PARAMS = ("rank", "iterations", "regularisation", "alpha", "half_life_days", "neighbours")
_ARRAYS = ("factors", "neighbour_ends", "neighbour_items", "neighbour_weights")


@dataclass(frozen=True)
class Model:
    """Item factors and neighbours by row as in `item_ids`; the parameters users are folded in with; the ranker's document.

    The neighbours of row i are neighbour_items[neighbour_ends[i - 1] : neighbour_ends[i]], rows again.
    """

    item_ids: tuple[str, ...]
    factors: NDArray[np.float32]
    neighbour_ends: NDArray[np.int32]
    neighbour_items: NDArray[np.int32]
    neighbour_weights: NDArray[np.float32]
    alpha: float
    regularisation: float
    ranker: Mapping[str, Any]

    def to_document(self) -> dict[str, Any]:
        """As JSON-ready document; arrays as base64, little-endian."""
        packed = {name: pack(getattr(self, name)) for name in _ARRAYS}
        rest = {"alpha": self.alpha, "regularisation": self.regularisation, "ranker": dict(self.ranker)}
        return {"item_ids": list(self.item_ids), **packed, **rest}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Model":
        """The model of a document made by `to_document`."""
        arrays: dict[str, Any] = {name: unpack(document[name]) for name in _ARRAYS}
        rest = {name: document[name] for name in ("alpha", "regularisation", "ranker")}
        return cls(item_ids=tuple(document["item_ids"]), **arrays, **rest)


def collect(
    item_factors: DataFrame, neighbours: DataFrame, item_indexes: DataFrame, settings: RecommendersSettings, ranker: Mapping[str, Any]
) -> Model:
    """The model of trained `item_factors` (item_index, factors) and `neighbours` (item_index, neighbours, weights).

    Item-sized, so it may come to the driver. Items of the catalogue without factors get zeros.
    """
    ids = item_indexes.orderBy("item_index").select("item_id").toArrow()["item_id"].to_pylist()
    trained = item_factors.toArrow()
    factors = np.zeros((len(ids), settings.rank), dtype=np.float32)
    factors[trained["item_index"].to_numpy()] = np.reshape(trained["factors"].combine_chunks().flatten().to_numpy(), (-1, settings.rank))
    near = neighbours.orderBy("item_index").toArrow().combine_chunks()
    lists, weights = near["neighbours"].combine_chunks(), near["weights"].combine_chunks()
    counts = np.zeros(len(ids), dtype=np.int32)
    counts[near["item_index"].to_numpy()] = np.diff(lists.offsets.to_numpy())
    return Model(
        item_ids=tuple(ids),
        factors=factors,
        neighbour_ends=np.cumsum(counts).astype(np.int32),
        neighbour_items=lists.flatten().to_numpy().astype(np.int32),
        neighbour_weights=weights.flatten().to_numpy().astype(np.float32),
        alpha=settings.alpha,
        regularisation=settings.regularisation,
        ranker=ranker,
    )


def params(settings: RecommendersSettings) -> dict[str, str | int | float | bool]:
    """What the model was trained with, for the registry."""
    return {name: getattr(settings, name) for name in _PARAMS}


def pack(array: NDArray[Any]) -> dict[str, Any]:
    """An array as JSON."""
    little = array.astype(array.dtype.newbyteorder("<"))
    return {"type": little.dtype.str, "shape": list(array.shape), "bytes": base64.b64encode(little.tobytes()).decode()}


def unpack(packed: Mapping[str, Any]) -> NDArray[Any]:
    """The array of `pack`."""
    return np.frombuffer(base64.b64decode(packed["bytes"]), dtype=packed["type"]).reshape(packed["shape"])
