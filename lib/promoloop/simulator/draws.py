"""Random draws as pure functions of their keys: the same key gives the same draw, in any order, block or partition.

A key is hashed by chained SplitMix64 finalisers (Steele, Lea, Flood 2014), its top 53 bits make the uniform.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def uniforms(seed: int, stream: str, *keys: Any) -> Floats:
    """Uniform draws in (0, 1), one per broadcast key; `stream` names what is drawn."""
    # scalars would warn where arrays wrap around in silence
    arrays = np.broadcast_arrays(*[np.atleast_1d(np.asarray(key, dtype=np.int64)) for key in keys])
    state = np.full(arrays[0].shape, np.uint64(zlib.crc32(stream.encode())) ^ np.uint64(seed), dtype=np.uint64)
    for array in arrays:
        state = _mix(state * _GOLDEN + array.astype(np.uint64) + _GOLDEN)
    return (np.asarray(state >> np.uint64(11), dtype=np.float64) + 0.5) * 2.0**-53


def normals(seed: int, stream: str, *keys: Any) -> Floats:
    """Standard normal draws."""
    return np.asarray(special.ndtri(uniforms(seed, stream, *keys)))


def gammas(shape: float, seed: int, stream: str, *keys: Any) -> Floats:
    """Gamma draws of mean 1 and variance 1 / shape."""
    return np.asarray(special.gammaincinv(shape, uniforms(seed, stream, *keys)) / shape)


def poissons(rates: Floats, uniform: Floats, most: int = 60) -> Ints:
    """Poisson counts by inverting `uniform`, at most `most`."""
    term = np.exp(-rates)
    below = term.copy()
    counts = np.zeros(rates.shape, dtype=np.int64)
    for count in range(1, most + 1):
        still = uniform > below
        if not still.any():
            break
        counts += still
        term = term * rates / count
        below = below + term
    return counts


def geometrics(mean: Any, uniform: Floats) -> Ints:
    """Counts 0, 1, 2, ... with a geometric law of mean `mean`."""
    rate = np.log1p(1.0 / np.maximum(np.asarray(mean, dtype=np.float64), 1e-9))
    return np.asarray(np.floor(-np.log(uniform) / rate), dtype=np.int64)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))
