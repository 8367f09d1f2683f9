"""What cadence charges: dual prices of the user's own limit, for which the best set a user may have is best one by one."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from promoloop.allocation.cards import Card, with_cadence

_WORTH = st.integers(-50, 50).map(float)


def _sets(worth: dict[str, float], group_of: dict[str, int], most: int) -> list[tuple[str, ...]]:
    return [own for size in range(most + 1) for own in combinations(worth, size) if len({group_of[name] for name in own}) == size]


@settings(max_examples=300, deadline=None)
@given(
    worths=st.lists(st.tuples(_WORTH, st.integers(0, 3), st.booleans()), min_size=1, max_size=6),
    most=st.one_of(st.none(), st.integers(0, 3)),
)
def test_what_cadence_charges_adds_up_and_decides(worths: list[tuple[float, int, bool]], most: int | None) -> None:
    group_of = {f"p{i}": group for i, (_, group, _) in enumerate(worths)}
    resting = {f"p{i}" for i, (_, _, rests) in enumerate(worths) if rests}
    made = [Card(f"p{i}", worth + 1.0, 2.0, {"budget": 0.75, "inventory": 0.25}) for i, (worth, _, _) in enumerate(worths)]
    charged = with_cadence(made, group_of, most, resting)
    assert {card.promotion_id for card in charged} == set(group_of)
    assert all(card.value - sum(card.charges.values()) - card.cadence == card.left for card in charged)
    assert [card.left for card in charged] == sorted((card.left for card in charged), reverse=True)
    assert all(card.left <= 0 for card in charged if card.promotion_id in resting)
    open_worth = {card.promotion_id: card.reduced_value for card in made if card.promotion_id not in resting}
    slots = len(worths) if most is None else most
    best = max(sum(open_worth[name] for name in own) for own in _sets(open_worth, group_of, slots))
    prices = {card.cadence for card in charged if card.promotion_id not in resting}
    assert len(prices) <= 1
    price = prices.pop() if prices else 0.0
    by_group: dict[int, float] = {}
    for card in charged:
        if card.promotion_id not in resting:
            by_group[group_of[card.promotion_id]] = max(by_group.get(group_of[card.promotion_id], 0.0), card.left)
    assert best == sum(by_group.values()) + price * (0 if most is None else most)  # strong duality
