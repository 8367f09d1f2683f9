"""Serving one block of users: the shop's rules, cold users and items, explanations. No Spark."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from promoloop.errors import UserError
from promoloop.recommenders import (
    arrays,
    catalogue,
    cooccurrence,
    learning,
    pair_features,
    promotions,
    ranker,
    reasons,
    recall,
    rules,
    serving,
)
from promoloop.recommenders.catalogue import ALL, Catalogue, clustered, unit
from promoloop.recommenders.folding import Factors
from promoloop.settings import load
from promoloop.settings.learning import RecommendersSettings

ITEMS, COLD_ITEM = 60, 59


@pytest.fixture
def goods() -> Catalogue:
    """60 items in six categories of ten, content the category's vector with noise; nobody has touched 59; 3 is sold out."""
    rng = np.random.default_rng(1)
    categories = np.repeat(np.arange(6), 10)
    tastes = rng.normal(size=(6, 16))
    factors = (tastes[categories, :4] + 0.3 * rng.normal(size=(ITEMS, 4))).astype(np.float32) / 2
    factors[COLD_ITEM] = 0
    is_available = np.ones(ITEMS, dtype=bool)
    is_available[3] = False
    popularity = np.vstack([np.linspace(1, 0, ITEMS), np.linspace(0, 1, ITEMS)]).astype(np.float32)
    content = unit((tastes[categories] + 0.3 * rng.normal(size=(ITEMS, 16))).astype(np.float32))
    return Catalogue(
        item_ids=pa.array([f"i{item:02}" for item in range(ITEMS)]),
        labels=pa.array([f"Thing {item}" for item in range(ITEMS)]),
        categories=categories,
        brands=np.arange(ITEMS) % 7,
        log_prices=np.full(ITEMS, np.log(5.0), dtype=np.float32),
        is_available=is_available,
        factors=Factors.of(factors, 1.0, 0.1).filled(content),
        content=content,
        cells=(ALL, "65+"),
        popularity=popularity,
        together=sparse.csr_matrix((ITEMS, ITEMS), dtype=np.float32),
        repeat_share=np.where(categories == 0, 0.0, 0.5).astype(np.float32),
        repeat_days=np.full(ITEMS, 7.0, dtype=np.float32),
    )


def settings(**changes: float) -> RecommendersSettings:
    plain = {"list_size": 10, "diversity": 0.0, "exploration": 0.0, "category_cap": 10, **changes}
    return load(["ci"], [f"recommenders.{name}={value}" for name, value in plain.items()]).recommenders


def block(*histories: list[dict[str, float]], cell: str = ALL) -> pa.RecordBatch:
    """Users with histories of entries {item, strength, purchases, days, kind}, what is left out filled in."""
    filled = [[{"strength": 5.0, "purchases": 1, "days": 7, "kind": 2, **entry} for entry in history] for history in histories]
    entry = pa.struct({"strength": pa.float32(), "item": pa.int32(), "purchases": pa.int32(), "days": pa.int32(), "kind": pa.int32()})
    return pa.record_batch(
        {
            "user_id": pa.array([f"u{user}" for user in range(len(filled))]),
            "cell": pa.array([cell] * len(filled)),
            "history": pa.array([history or None for history in filled], pa.list_(entry)),
            "hash": pa.array(np.arange(len(filled)) * 7919 + 12345),
        }
    )


def lists(
    goods: Catalogue, own: RecommendersSettings, *histories: list[dict[str, float]], cell: str = ALL
) -> list[list[dict[str, object]]]:
    """Lists by user of histories given as entries {item, strength, purchases, days, kind}."""
    batch = block(*histories, cell=cell)
    rows = serving._block(batch, goods, ranker.UNTRAINED, own)[0].to_pylist()
    return [[row for row in rows if row["user_id"] == f"u{user}"] for user in range(len(histories))]


def bought(*items: int) -> list[dict[str, float]]:
    return [{"item": item} for item in items]


def test_a_user_with_a_taste_gets_it_explained_by_own_things(goods: Catalogue) -> None:
    (mine,) = lists(goods, settings(), bought(20, 21, 22))
    assert [row["rank"] for row in mine] == list(range(1, 11))
    assert sum(20 <= int(str(row["item_id"])[1:]) < 30 for row in mine[:6]) >= 5
    told = {str(row["item_id"]): row["reason"] for row in mine}
    assert told["i20"] == "You bought it before"
    own = {f"Thing {item}" for item in (20, 21, 22)}
    because = [str(reason).removeprefix("Because you bought ").split(" and ") for reason in told.values() if "Because" in str(reason)]
    assert because
    assert all(set(things) <= own and len(set(things)) in (1, 2) for things in because)
    assert any(len(things) == 2 for things in because)
    for row in mine:
        assert sum(dict(row["parts"]).values()) == pytest.approx(row["score"], abs=1e-4), "parts add up to the score"


def test_the_two_own_things_are_named_as_what_was_done_with_them(goods: Catalogue) -> None:
    def because(evidence: list[int], kinds: list[int]) -> str:
        return str(reasons._because(goods, np.array([evidence]), np.array([kinds]))[0])

    assert because([20, -1], [2, -1]) == "Because you bought Thing 20"
    assert because([20, 21], [2, 2]) == "Because you bought Thing 20 and Thing 21"
    assert because([20, 21], [1, 1]) == "Because you put Thing 20 and Thing 21 in your cart"
    assert because([20, 21], [1, 0]) == "Because you put Thing 20 in your cart and looked at Thing 21"
    twins = replace(goods, labels=pa.array(["Tea"] * ITEMS))
    assert str(reasons._because(twins, np.array([[20, 21]]), np.array([[2, 2]]))[0]) == "Because you bought Tea"


def test_looking_into_all_clusters_changes_no_list(goods: Catalogue) -> None:
    histories = [bought(20, 21, 22), bought(3, 4, 40), []]
    whole = lists(goods, settings(), *histories)
    parts = clustered(goods)
    assert parts.factor_clusters is not None
    assert lists(parts, settings(probes=7), *histories) == whole
    few = lists(parts, settings(probes=1), *histories)
    assert [len(mine) for mine in few] == [10, 10, 10]
    batch = block(*histories)
    counts = recall._counted(batch, parts, settings(probes=2, candidates=10)).to_pylist()[0]
    assert 0.3 < counts["factors_found"] / counts["factors_exact"] < 1
    everything = recall._counted(batch, parts, settings(probes=7, candidates=10)).to_pylist()[0]
    assert everything["content_found"] == everything["content_exact"] > 0


def test_cold_user_gets_what_is_popular_in_the_own_cell(goods: Catalogue) -> None:
    (everybody,), (old,), (unknown,) = (lists(goods, settings(), [], cell=cell) for cell in (ALL, "65+", "never seen"))
    assert [row["item_id"] for row in everybody] == ["i00", "i01", "i02", "i04", "i05", "i06", "i07", "i08", "i09", "i10"]
    assert [row["item_id"] for row in old] == [f"i{item}" for item in range(59, 49, -1)]
    assert unknown == everybody
    assert {row["reason"] for row in old} == {"Popular with people like you"}


def test_cold_item_is_found_by_its_content(goods: Catalogue) -> None:
    (mine,) = lists(goods, settings(), bought(50, 51, 52, 53))
    assert "i59" in {row["item_id"] for row in mine}


def test_sold_out_and_not_bought_again_never_appear(goods: Catalogue) -> None:
    for changes in ({}, {"exploration": 0.5}, {"diversity": 0.5}):
        (mine,) = lists(goods, settings(**changes), bought(3, 4, 5, 25))
        names = {row["item_id"] for row in mine}
        assert "i03" not in names, "sold out"
        assert not names & {"i04", "i05"}, "nobody buys those again"
        assert len(names) == 10


def test_price_ceiling_spares_users_the_far_too_dear(goods: Catalogue) -> None:
    goods.log_prices[21] = np.log(5.0 * 4.5)
    (strict,), (loose,) = (lists(goods, settings(price_ceiling=ceiling), bought(20, 22)) for ceiling in (4.0, 5.0))
    assert "i21" not in {row["item_id"] for row in strict}
    assert "i21" in {row["item_id"] for row in loose}


def test_unknown_prices_set_no_ceiling_and_are_below_every_one(goods: Catalogue) -> None:
    goods.log_prices[[20, 23]], goods.log_prices[21] = np.nan, np.log(5.0 * 4.5)
    (known,), (unknown,) = (lists(goods, settings(price_ceiling=4.0), bought(*items)) for items in ((20, 22), (20,)))
    assert "i21" not in {row["item_id"] for row in known}, "22 is the dearest of the known prices"
    assert "i23" in {row["item_id"] for row in known}
    assert {"i21", "i23"} < {row["item_id"] for row in unknown}
    assert len(known) == len(unknown) == 10


def test_price_distance_is_that_of_known_prices(goods: Catalogue) -> None:
    goods.log_prices[:4] = [np.nan, 1.0, 3.0, 7.0]
    histories = arrays.flat(block([{"item": 0, "strength": 9.0}, {"item": 1}, {"item": 2, "strength": 15.0}], bought(0), []))
    users, items = np.array([0, 0, 1, 2]), np.array([3, 0, 3, 3])
    assert pair_features.of_pairs(histories, goods, users, items)["price_distance"].tolist() == [7.0 - 2.5, 0, 0, 0]


def test_category_cap_and_diversity_widen_the_list(goods: Catalogue) -> None:
    def widest(mine: list[dict[str, object]]) -> int:
        return int(np.bincount([goods.categories[int(str(row["item_id"])[1:])] for row in mine]).max())

    (plain,), (capped,), (diverse,) = (
        lists(goods, settings(**changes), bought(20, 21, 22)) for changes in ({}, {"category_cap": 3}, {"diversity": 1.0})
    )
    assert widest(plain) > 3
    assert widest(capped) == 3
    assert widest(diverse) < widest(plain)
    assert diverse[0]["item_id"] == plain[0]["item_id"], "the best stays first"


def test_exploration_draws_a_share_of_places_the_same_each_time(goods: Catalogue) -> None:
    histories = [bought(20, 21, 22) for _ in range(200)]
    plain, drawn = lists(goods, settings(), *histories), lists(goods, settings(exploration=0.3), *histories)
    assert [row["item_id"] for row in drawn[0][:7]] == [row["item_id"] for row in plain[0][:7]]
    explored = [tuple(row["item_id"] for row in mine[7:]) for mine in drawn]
    assert len(set(explored)) > 150, "each user draws for himself"
    assert all(len({row["item_id"] for row in mine}) == 10 for mine in drawn)
    assert drawn == lists(goods, settings(exploration=0.3), *histories)
    counts = np.bincount([int(str(item)[1:]) for places in explored for item in places], minlength=ITEMS)
    assert (counts > 0).sum() > 30, "draws reach beyond the best"
    for size in (1, 20):
        plain, drawn = (lists(goods, settings(list_size=size, exploration=share), bought(20, 21)) for share in (0.0, 0.98))
        assert [len(mine) for mine in (*plain, *drawn)] == [size, size]
        assert drawn[0][0]["item_id"] == plain[0][0]["item_id"], "the best stays, however much is drawn"


def test_greedy_lists_equal_plain_python(goods: Catalogue) -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(5, ITEMS)).astype(np.float32)
    own = settings(diversity=0.4, category_cap=2)
    users, everything = np.divmod(np.arange(5 * ITEMS), ITEMS)
    items, _ = rules.lists(users, everything, scores.ravel(), np.arange(5), goods, own)
    for user in range(5):
        pool = sorted(range(ITEMS), key=lambda item: (-scores[user, item], item))[:30]
        low, high = scores[user, pool[-1]], scores[user, pool[0]]
        chosen: list[int] = []
        while len(chosen) < 10:
            counts = np.bincount(goods.categories[chosen], minlength=6) if chosen else np.zeros(6)
            worth = {
                item: (scores[user, item] - low) / (high - low)
                - 0.4 * max([0.0, *(float(goods.content[item] @ goods.content[other]) for other in chosen)])
                for item in pool
                if item not in chosen and counts[goods.categories[item]] < 2
            }
            chosen.append(max(worth, key=lambda item: worth[item]))
        assert items[user].tolist() == chosen


@pytest.mark.parametrize("diversity", [0.0, 0.4])
def test_places_the_cap_leaves_empty_go_to_candidates_below_the_best(goods: Catalogue, diversity: float) -> None:
    users, everything = np.divmod(np.arange(2 * ITEMS), ITEMS)
    goods.categories[33] = -1
    scores = np.concatenate([-np.arange(ITEMS), -(np.arange(ITEMS) % 10)]).astype(np.float32)  # the first user's best 30: three categories
    scores[31] = -np.inf
    (first, second), _ = rules.lists(users, everything, scores, np.arange(2), goods, settings(diversity=diversity, category_cap=2))
    assert sorted(goods.categories[first[:6]].tolist()) == [0, 0, 1, 1, 2, 2]
    assert first[6:].tolist() == [30, 32, 33, 40]
    assert (second >= 0).all()
    (few, _), _ = rules.lists(users, everything, scores, np.arange(2), goods, settings(diversity=diversity, category_cap=1))
    assert few[3:].tolist() == [30, 33, 40, 50, -1, -1, -1], "six categories, and one item of none"


def test_a_label_is_the_first_sentence_and_no_number_is_cut() -> None:
    labels = {
        "3.5 mm cable. Two metres.": "3.5 mm cable",
        "No. 7 soap.": "No. 7 soap",
        "Soap. Good": "Soap",
        "Green tea\nfrom the hills": "Green tea",
        "Version 2.0": "Version 2.0",
        "a" * 80: "a" * 60,
        "\nlater": "",
        "": "",
    }
    assert {text: re.match(catalogue._LABEL, text)[1] for text in labels} == labels  # type: ignore[index]


def test_popularity_is_by_columns_users_have() -> None:
    with pytest.raises(UserError, match=r"recommenders\.popularity_by"):
        load(["ci"], ['recommenders.popularity_by=["age_bnd"]'])


def test_a_promotion_that_costs_the_shop_nothing_gives_something() -> None:
    nothing = dict.fromkeys(("discount_rate", "discount_amount", "gift_unit_cost", "threshold"))
    gifts = [promotions._lift({**nothing, "threshold": 20, "gift_unit_cost": cost}) for cost in (0, 1, 3)]
    assert 0 < gifts[0] < gifts[1] < gifts[2] < 1
    assert promotions._lift({**nothing, "discount_rate": 0.5}) == 1


def offered_to(*segments: str) -> promotions.Scopes:
    """A promotion of category 2, one of the whole shop, one of category 4, for these segments."""
    holds = np.zeros((ITEMS, 3), dtype=np.float32)
    holds[20:30, 0], holds[40:50, 2] = 1, 1
    ids, is_whole = pa.array(["own category", "everything", "another"]), np.array([False, True, False])
    return promotions.Scopes(ids, sparse.csr_matrix(holds), is_whole, np.array(segments), np.ones(3, dtype=np.float32))


def in_segments(users: pa.RecordBatch, *segments: str | None) -> pa.RecordBatch:
    return users.append_column("segment", pa.array(segments, pa.string()))


def test_promotions_are_ranked_by_the_share_of_what_is_wanted_in_their_scope(goods: Catalogue) -> None:
    (own, everything, another), (_, cold_everything, _) = promotions.interests(
        in_segments(block(bought(20, 21, 22), []), "loyal", None), goods, ranker.UNTRAINED, offered_to("", "", ""), settings()
    )
    assert another < own < everything
    assert own > 2 * another
    assert everything == pytest.approx(1.0, abs=1e-5)
    assert cold_everything == pytest.approx(1.0, abs=1e-5)
    one = in_segments(block(bought(20, 21, 22)), "loyal")
    rows = promotions._block(one, goods, ranker.UNTRAINED, offered_to("", "", ""), 2, settings()).to_pylist()
    assert [(row["rank"], row["promotion_id"]) for row in rows] == [(1, "everything"), (2, "own category")]


def test_promotions_for_another_segment_take_no_place(goods: Catalogue) -> None:
    users = in_segments(block(bought(20, 21, 22), bought(20, 21, 22), bought(20, 21)), "loyal", "new", None)
    rows = promotions._block(users, goods, ranker.UNTRAINED, offered_to("loyal", "new", "unknown"), 3, settings()).to_pylist()
    found = [(row["user_id"], row["promotion_id"]) for row in rows]
    assert found == [("u0", "own category"), ("u1", "everything"), ("u2", "another")]


def test_examples_keep_all_taken_and_a_share_of_the_others(goods: Catalogue) -> None:
    users = block(bought(20, 21, 22), bought(30, 31))
    users = users.append_column("taken", pa.array([[20, 23], [55, 3]], pa.list_(pa.int32())))
    few, everything = (learning._labelled(users, goods, settings(ranker_negatives=count)) for count in (5, 1000))
    assert sum(everything.column("label").to_pylist()) == 2 + 1, "what was taken and proposed; item 3 is sold out"
    assert sum(few.column("label").to_pylist()) == 3
    assert 3 + 2 <= few.num_rows <= 3 + 2 * 12 < everything.num_rows


def test_judging_agrees_with_the_lists_served(goods: Catalogue) -> None:
    users = block(bought(20, 21), bought(30, 31)).append_column("taken", pa.array([[24, 25], [35]], pa.list_(pa.int32())))
    found = learning._judged(users, goods, {"plain": ranker.UNTRAINED}, settings()).to_pydict()
    served = serving._block(users, goods, ranker.UNTRAINED, settings())[0].to_pylist()
    for user, taken in (("u0", {"i24", "i25"}), ("u1", {"i35"})):
        gain = sum(1 / np.log2(row["rank"] + 1) for row in served if row["user_id"] == user and row["item_id"] in taken)
        ideal = sum(1 / np.log2(rank + 1) for rank in range(1, len(taken) + 1))
        assert found["ndcg_plain"][int(user[1])] == pytest.approx(gain / ideal)
    assert max(found["ndcg_plain"]) > 0


def test_blocks_of_cooccurrence_survive_packing() -> None:
    total = sparse.random(600, 600, 0.05, "csr", np.float32, np.random.default_rng(2))
    packed = cooccurrence._packed(total)
    for number in range(3):
        rows = packed.filter(pa.array([other == number for other in packed["block"].to_pylist()]))
        twice = pa.Table.from_batches([rows, rows])
        expected = 2 * total.toarray()[number * 256 : (number + 1) * 256]
        rows, columns, sums = cooccurrence._unpacked(twice, 600)
        found = np.zeros_like(expected)
        found[rows, columns] = sums
        np.testing.assert_allclose(found, expected, rtol=1e-6)
