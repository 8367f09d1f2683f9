"""The numpy parts: exact selection, folding in, explanations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promoloop.recommenders import folding, topk
from promoloop.recommenders.arrays import Histories
from promoloop.recommenders.folding import Factors


def histories_of(*lists: dict[int, float]) -> Histories:
    """Histories of {item: strength}."""
    count = sum(map(len, lists))
    return Histories(
        offsets=np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64),
        items=np.array([item for one in lists for item in one], dtype=np.int64),
        strengths=np.array([strength for one in lists for strength in one.values()], dtype=np.float32),
        purchases=np.ones(count, dtype=np.int64),
        days=np.zeros(count, dtype=np.int64),
        kinds=np.full(count, 2, dtype=np.int64),
    )


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 700), st.integers(1, 30), st.integers(1, 50))
def test_selection_is_exact_with_ties_to_the_lower_column(seed: int, rows: int, columns: int, k: int, levels: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (rows, columns)).astype(np.float32)
    best, values = topk.select(scores, k)
    for row in range(rows):
        expected = sorted(range(columns), key=lambda column: (-scores[row, column], column))[:k]
        assert best[row, : len(expected)].tolist() == expected
        assert values[row, : len(expected)].tolist() == [scores[row, column] for column in expected]
        assert (best[row, len(expected) :] == -1).all()


def test_what_is_blocked_is_never_selected() -> None:
    scores = np.full((2, 300), -np.inf, dtype=np.float32)
    scores[0, 5], scores[0, 250] = 1, 2
    best, _ = topk.select(scores, 3)
    assert best.tolist() == [[250, 5, -1], [-1, -1, -1]]


def test_folding_solves_the_weighted_least_squares() -> None:
    rng = np.random.default_rng(1)
    items = rng.normal(size=(30, 4)).astype(np.float32)
    factors = Factors.of(items, alpha=2.0, regularisation=0.1)
    own = {3: 1.0, 7: 2.5, 20: 0.5}
    (solved,), _ = folding.fold_in(histories_of(own), factors)

    def loss(vector: np.ndarray) -> float:
        confidence = np.array([1 + 2.0 * own.get(item, 0) for item in range(30)])
        wanted = np.array([float(item in own) for item in range(30)])
        return float((confidence * (wanted - items @ vector) ** 2).sum() + 0.1 * 3 * vector @ vector)

    best = loss(solved)
    for step in np.vstack([np.eye(4), -np.eye(4)]) * 1e-2:
        assert loss(solved + step) > best


def test_evidence_is_the_one_or_two_own_items_that_add_most() -> None:
    rng = np.random.default_rng(2)
    factors = Factors.of(rng.normal(size=(50, 5)).astype(np.float32), alpha=1.0, regularisation=0.05)
    own = histories_of({1: 1.0, 2: 4.0, 3: 0.2}, {})
    users, matrices = folding.fold_in(own, factors)
    chosen = np.array([[10, 11, -1], [10, -1, -1]])
    evidence = folding.strongest_evidence(own, factors, matrices, chosen)
    for place in (0, 1):
        target = factors.items[chosen[0, place]]
        added = {
            item: float(target @ np.linalg.solve(matrices[0], factors.items[item])) * (1 + strength)
            for item, strength in ((1, 1.0), (2, 4.0), (3, 0.2))
        }
        assert sum(added.values()) == pytest.approx(float(users[0] @ target), rel=1e-4), "the contributions add up to the score"
        first, second = sorted(added, key=lambda item: -added[item])[:2]
        assert evidence[0, place, 0] == (first if added[first] > 0 else -1)
        assert evidence[0, place, 1] == (second if added[second] > 0 and added[second] >= added[first] / 2 else -1)
    assert (evidence[0, 2] == -1).all()
    assert (evidence[1] == -1).all(), "no history, no evidence"


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(0, 400), st.integers(1, 20))
def test_selection_among_few_entries_is_that_of_the_matrix(seed: int, rows: int, entries: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = np.full((rows, 5000), -np.inf, dtype=np.float32)
    at = np.unique(rng.integers(0, matrix.size, entries))
    matrix.flat[at] = rng.integers(0, 9, len(at))
    row, column = np.divmod(at, 5000)
    shuffled = rng.permutation(len(at))
    few, values = topk.select_among(row[shuffled], column[shuffled], matrix.flat[at[shuffled]], rows, k)
    best, scores = topk.select(matrix, k)
    np.testing.assert_array_equal(few, best)
    np.testing.assert_array_equal(values, scores)


def test_a_wide_row_of_ties_is_cut_at_the_first_of_them() -> None:
    scores = np.zeros((3, 50_000), dtype=np.float32)
    scores[1, 40_000], scores[2, :49_990] = 1, -np.inf
    assert len(topk.survivors(scores, 4)[0]) == 12, "nothing else is left to sort"
    best, _ = topk.select(scores, 4)
    assert best.tolist() == [[0, 1, 2, 3], [40_000, 0, 1, 2], [49_990, 49_991, 49_992, 49_993]]
