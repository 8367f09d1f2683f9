"""From the features of a pair to one score: a linear ranker and a neural one, in numpy, so that they run inside the pass over users.

Both are trained by MLlib (`learning`); here is only what is needed to serve them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from promoloop.recommenders.arrays import Floats
from promoloop.recommenders.candidates import FEATURES, Proposed
from promoloop.recommenders.catalogue import Catalogue
from promoloop.recommenders.model import pack, unpack

PARTS = {
    "als": ("als",),
    "together": ("together",),
    "content": ("content", "category_share", "brand_share", "price_distance"),
    "popular": ("popular_in_cell", "popular"),
    "own": ("is_own", "own_strength", "own_purchases", "own_days", "own_is_due", "own_repeat_share"),
}
"""What a score is explained by: part -> the features that belong to it."""


class Ranker(Protocol):
    """Scores pairs; higher is better."""

    def score(self, inputs: Floats) -> Floats:
        """Scores of rows of `inputs`."""
        ...

    def parts(self, inputs: Floats) -> dict[str, Floats]:
        """What each part adds to the scores of these rows."""
        ...

    def to_document(self) -> dict[str, Any]:
        """As JSON."""
        ...


def inputs(proposed: Proposed, catalogue: Catalogue) -> Floats:
    """One row per pair: its features, then the products of the user's and the item's factors, place by place."""
    pairs = proposed.pairs
    return np.hstack([pairs.features, proposed.user_factors[pairs.users] * catalogue.factors.items[pairs.items]])


@dataclass(frozen=True)
class Linear:
    """score = intercept + Σ weight · feature. Products of factors are not used."""

    weights: Floats
    intercept: float

    @classmethod
    def of(cls, weights: Mapping[str, float], intercept: float = 0.0) -> "Linear":
        """A linear ranker of weights by feature name; features left out weigh nothing."""
        return cls(np.array([weights.get(name, 0.0) for name in FEATURES], dtype=np.float32), intercept)

    def score(self, inputs: Floats) -> Floats:
        """Log-odds that the user takes the item next."""
        scores: Floats = inputs[:, : len(FEATURES)] @ self.weights + np.float32(self.intercept)
        return scores

    def parts(self, inputs: Floats) -> dict[str, Floats]:
        """Contribution of each part; with the intercept they add up to the score."""
        added = inputs[:, : len(FEATURES)] * self.weights
        return {part: added[:, _places(part)].sum(axis=1) for part in PARTS}

    def to_document(self) -> dict[str, Any]:
        """As JSON: weights by name, so that a person can read them."""
        weights = dict(zip(FEATURES, (float(weight) for weight in self.weights), strict=True))
        return {"kind": "linear", "weights": weights, "intercept": self.intercept}


@dataclass(frozen=True)
class Neural:
    """A multilayer perceptron over features and factor products (in the manner of He et al. 2017, neural collaborative filtering).

    Inputs are scaled by `means` and `scales`; hidden layers are sigmoid; the score is the difference of the two last outputs: log-odds.
    layers: (weights: outputs × inputs, biases) of each.
    """

    means: Floats
    scales: Floats
    layers: tuple[tuple[Floats, Floats], ...]

    def score(self, inputs: Floats) -> Floats:
        """Log-odds that the user takes the item next."""
        signal = (inputs - self.means) * self.scales
        for weights, biases in self.layers[:-1]:
            signal = 1 / (1 + np.exp(-(signal @ weights.T + biases)))
        weights, biases = self.layers[-1]
        scores: Floats = signal @ (weights[1] - weights[0]) + (biases[1] - biases[0])
        return scores

    def parts(self, inputs: Floats) -> dict[str, Floats]:
        """What the score loses when a part's inputs are replaced by their means; factor products belong to `als`."""
        full = self.score(inputs)
        lost = {}
        for part in PARTS:
            places = _places(part)
            if part == "als":
                places = [*places, *range(len(FEATURES), inputs.shape[1])]
            hidden = inputs.copy()
            hidden[:, places] = self.means[places]
            lost[part] = full - self.score(hidden)
        return lost

    def to_document(self) -> dict[str, Any]:
        """As JSON."""
        layers = [[pack(weights), pack(biases)] for weights, biases in self.layers]
        return {"kind": "neural", "means": pack(self.means), "scales": pack(self.scales), "layers": layers}


UNTRAINED = Linear.of({"als": 1.0, "together": 0.5, "content": 0.5, "popular_in_cell": 0.4, "category_share": 0.2, "own_strength": 0.2})
"""Where there is nothing to learn from yet: factors and taste lead, popularity decides where there is no history."""

FACTORS = Linear.of({"als": 1.0, "popular_in_cell": 1e-3})
"""Factors alone; popularity where there is no history. A learned ranker has to beat it, too."""


def from_document(document: Mapping[str, Any]) -> Linear | Neural:
    """The ranker of a document made by `to_document`."""
    if document["kind"] == "linear":
        return Linear.of(document["weights"], document["intercept"])
    layers = tuple((unpack(weights), unpack(biases)) for weights, biases in document["layers"])
    return Neural(unpack(document["means"]), unpack(document["scales"]), layers)


def _places(part: str) -> list[int]:
    return [FEATURES.index(name) for name in PARTS[part]]
