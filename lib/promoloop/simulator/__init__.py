"""A shop with known truth: the embedded default source. Its laws are in docs/simulator.md; other rooms use `best_achievable` alone."""

from promoloop.simulator.truth import best_achievable

__all__ = ["best_achievable"]
