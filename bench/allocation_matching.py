"""Many capped items: 138,493 users × 26,744 items, 20 million eligible pairs, at most 30 users an item (`bench/allocation.py --matching`).

The shape of a published matching instance made of MovieLens 20M (4,756 s over 1,293 iterations there, caps slightly violated). The
pairs here are drawn: users' numbers of pairs are log-normal, items Zipf-popular, values the sum of an item's quality, which makes
everybody want the same ones, and a taste of the user's own.
"""

import time
from collections.abc import Callable

import numpy as np

from promoloop.allocation import auction

USERS, ITEMS, PAIRS, CAP, GAP = 138_493, 26_744, 20_000_000, 30, 1e-3


def instance(users: int, items: int, pairs: int, seed: int = 3) -> auction.Pairs:
    """Eligible pairs, each (user, item) once."""
    rng = np.random.default_rng(seed)
    wanted = rng.lognormal(0, 1.0, users)
    degree = np.clip((wanted / wanted.sum() * pairs * 1.35).astype(np.int64), 5, items // 3)
    popularity = 1 / np.arange(1, items + 1) ** 0.8
    drawn = np.searchsorted(np.cumsum(popularity / popularity.sum()), rng.random(int(degree.sum()))).clip(0, items - 1)
    key = np.unique(np.repeat(np.arange(users), degree) * items + drawn)
    user, item = key // items, (key % items).astype(np.int32)
    quality = rng.normal(0, 0.5, items)
    value = np.exp(quality[item] + rng.normal(0, 0.5, len(key))).astype(np.float32)
    return auction.Pairs(np.searchsorted(user, np.arange(users + 1)), item, value)


def main(say: Callable[..., None]) -> None:
    """Print gap, violations, passes and seconds of the matching."""
    pairs = instance(USERS, ITEMS, PAIRS)
    size = {"users": pairs.users, "items": ITEMS, "pairs": len(pairs.item), "cap": CAP}
    start = time.perf_counter()
    matched = auction.match(pairs, ITEMS, CAP, GAP)
    took = time.perf_counter() - start
    taken = pairs.item[matched.pair[matched.pair >= 0]]
    say("matching_gap", (matched.bound - matched.objective) / matched.bound, objective=matched.objective, bound=matched.bound, size=size)
    say("matching_violations", int((np.bincount(taken, minlength=ITEMS) > CAP).sum()), binding=int((matched.prices > 0).sum()), size=size)
    say("matching_passes", matched.count_passes, size=size)
    say("matching_seconds", round(took, 1), size=size)
