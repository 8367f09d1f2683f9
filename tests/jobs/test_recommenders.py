"""train_recommender and recommend_items on a shop of two tastes."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from builders import rows
from jobs import recommend_items, score_offers, stream_recommendations, train_recommender
from places import copied, made_once
from promoloop import registry, sources, tables
from promoloop.errors import UserError
from promoloop.settings import Settings

AS_OF = date(2026, 3, 2)
FEW = 5  # users of the other age band: fewer than a published group has to have
WITHOUT_HISTORY = {"Popular with people like you", "Something new to try"}


def taste(number: int) -> int:
    return number % 2


@pytest.fixture(scope="module")
def trained(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A model and lists of `store`'s shop. Not to be written to."""

    def make(settings: Settings) -> None:
        store(spark, settings)
        train_recommender.run(spark, settings)
        recommend_items.run(spark, settings)

    return made_once(tmp_path_factory, "trained", make)


@pytest.fixture
def shop(trained: Settings, settings: Settings) -> Settings:
    return copied(trained, settings)


def store(spark: SparkSession, settings: Settings) -> None:
    """40 users and 30 items of two tastes: even users buy even items, odd odd. u40 never came, i30 was never seen, i0 is sold out."""
    person = {"gender": "female", "channels": ["email"], "has_consent": True}
    users = [{"user_id": f"u{u:02}", "age_band": "25-34" if u >= FEW else "35-44", **person} for u in range(41)]
    items = [
        {
            "item_id": f"i{i:02}",
            "category": ("Bread", "Soap")[taste(i)],
            "brand": ("Mill", "Spring")[taste(i)],
            "text": f"Thing {i}. Good {('flour', 'foam')[taste(i)]}",
            "stock": 0 if i == 0 else 9,
        }
        for i in range(31)
    ]
    events = []
    for u in range(40):
        for step in range(8):
            item = ((u * 7 + step * 5) % 15) * 2 + taste(u)
            at = datetime(2026, 2, 1 + step, 12, tzinfo=UTC)
            events.append(
                {
                    "event_id": f"e{u}-{step}",
                    "event_type": "purchase" if step % 3 == 0 else "view",
                    "user_id": f"u{u:02}",
                    "item_id": f"i{item:02}",
                    "occurred_at": at,
                    "occurred_on": at.date(),
                    "quantity": 1,
                }
            )
    future = datetime(2026, 3, 2, 0, 0, tzinfo=UTC) + timedelta(hours=1)
    events.append(
        {"event_id": "later", "event_type": "purchase", "user_id": "u40", "item_id": "i02", "occurred_at": future, "occurred_on": AS_OF}
    )
    tables.merge(rows(spark, tables.USERS, *users), settings, tables.USERS)
    tables.merge(rows(spark, tables.ITEMS, *items), settings, tables.ITEMS)
    tables.merge(rows(spark, tables.EVENTS, *events), settings, tables.EVENTS)


def test_lists_follow_taste_stock_and_time_and_a_rerun_changes_nothing(spark: SparkSession, shop: Settings) -> None:
    lists = tables.read(spark, shop, tables.ITEM_RECOMMENDATIONS)
    first = tables.content_hash(lists)
    assert {row.user_id for row in lists.select("user_id").distinct().collect()} == {f"u{u:02}" for u in range(41)}
    assert lists.where("item_id = 'i00'").isEmpty(), "sold out"
    assert own_share(lists.where("user_id != 'u40'")) > 0.9
    cold = lists.where("user_id = 'u40'")
    assert {row.reason for row in cold.collect()} == WITHOUT_HISTORY, "a purchase after as_of is not known yet"
    assert not lists.where("item_id = 'i30' AND user_id != 'u40'").isEmpty(), "an item nobody touched is found by its content"
    assert set(lists.where("rank = 1").first()["parts"]) == {"als", "together", "content", "popular", "own"}
    train_recommender.run(spark, shop)
    assert recommend_items.run(spark, shop).rows_out == lists.count()
    assert tables.content_hash(tables.read(spark, shop, tables.ITEM_RECOMMENDATIONS)) == first


def forget_last_take(checkpoint: Path) -> None:
    """As if killed before the first take could be noted as done."""
    for name in ("0", ".0.crc"):
        (checkpoint / "commits" / name).unlink()


def test_the_stream_follows_touched_users_alone_and_a_rerun_changes_nothing(
    spark: SparkSession, shop: Settings, settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(whom: str) -> DataFrame:
        return tables.read(spark, shop, tables.ITEM_RECOMMENDATIONS).where(whom)

    before = tables.content_hash(of("user_id != 'u40'"))
    assert {row.reason for row in of("user_id = 'u40'").collect()} == WITHOUT_HISTORY
    outcome = stream_recommendations.run(spark, shop)  # the purchase of u40 on as_of itself
    mine = of("user_id = 'u40'").collect()
    assert outcome.rows_out == len(mine)
    assert [row.reason for row in mine if row.item_id == "i02"] == ["You bought it before"]
    assert own_share(of("user_id = 'u40'")) > 0.7
    assert tables.content_hash(of("user_id != 'u40'")) == before
    after = tables.content_hash(of("true"))
    assert stream_recommendations.run(spark, shop).rows_out == 0, "nothing new"
    checkpoint = Path(shop.paths.checkpoints) / "stream_recommendations"
    forget_last_take(checkpoint)
    assert stream_recommendations.run(spark, shop).rows_out == len(mine)
    assert tables.content_hash(of("true")) == after
    forget_last_take(checkpoint)
    more = tables.read(spark, shop, tables.EVENTS).where("event_id = 'later'").withColumn("user_id", F.lit("u07"))
    tables.append_once(more, shop, tables.EVENTS, "more", 0)
    theirs = of("user_id IN ('u40', 'u07')")
    assert stream_recommendations.run(spark, shop).rows_out == theirs.count(), "what came since comes with what is taken again"
    assert [entry.name for entry in (checkpoint / "commits").glob("[0-9]*")] == ["0"]
    assert "You bought it before" in {row.reason for row in theirs.where("user_id = 'u07' AND item_id = 'i02'").collect()}

    after, followed = tables.content_hash(theirs), stream_recommendations._follower
    past_midnight = more.limit(1).withColumns({"user_id": F.lit("u08"), "occurred_on": F.lit(AS_OF + timedelta(days=1))})
    tables.append_once(past_midnight, shop, tables.EVENTS, "more", 1)
    with monkeypatch.context() as patched:

        def others_write(*given: object, **named: object) -> sources.Take:
            tables.erase_people(spark.createDataFrame([("u40",), ("u07",)], "user_id string"), shop, tables.ITEM_RECOMMENDATIONS)
            return take(*given, **named)  # type: ignore[arg-type]

        take = sources.take
        patched.setattr(sources, "take", others_write)
        assert stream_recommendations.run(spark, shop).rows_out == of("user_id IN ('u40', 'u07', 'u08')").count()
    assert tables.content_hash(theirs) == after, "lists that others wrote meanwhile are made good, beside those of what is new"
    next_day = stream_recommendations.run(spark, settings_with("run.as_of=2026-03-03"))
    todays = of("as_of_on = '2026-03-03'").collect()
    assert {row.user_id for row in todays} == {"u08"}, "what was taken for the lists of the day before is not lost"
    assert next_day.rows_out == len(todays)

    def others_rekey(*given: object) -> object:
        found = followed(*given)  # type: ignore[arg-type]
        tables.create(spark, shop, tables.KEY_RING)
        return found

    monkeypatch.setattr(stream_recommendations, "_follower", others_rekey)
    with pytest.raises(UserError, match="key of the pseudonyms changed while this process followed"):
        stream_recommendations.run(spark, shop)


def test_a_standby_rehearses_on_nobody_and_takes_over_where_the_first_ended(
    spark: SparkSession, shop: Settings, settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables.content_hash(tables.read(spark, shop, tables.ITEM_RECOMMENDATIONS))
    hearing, saying = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
    monkeypatch.setattr(sys, "stderr", saying)
    with ThreadPoolExecutor(1) as thread, hearing:
        with sources.lease(tables.checkpoint(shop, "stream_recommendations"), False):
            with pytest.raises(UserError, match=r"follows .* already"):
                stream_recommendations.run(spark, shop)
            waiting = thread.submit(stream_recommendations.run, spark, settings_with("recommenders.stream_standby=true"))
            waiting.add_done_callback(lambda _: saying.close())
            assert any("standing by" in line for line in hearing), waiting.result()
            assert tables.content_hash(tables.read(spark, shop, tables.ITEM_RECOMMENDATIONS)) == before
        outcome = waiting.result()
    mine = tables.read(spark, shop, tables.ITEM_RECOMMENDATIONS).where("user_id = 'u40'")
    assert outcome.rows_out == mine.count()
    assert own_share(mine) > 0.7


def test_the_card_tells_what_parameters_rankers_and_lists_foresaw(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    changes = {"horizon_days": 3, "repeatable_from": 0.0, "trials": "[{ alpha = 8.0 }]"}  # all buy again on the fourth and the seventh day
    early = settings_with("run.as_of=2026-02-09", *(f"recommenders.{name}={value}" for name, value in changes.items()))
    store(spark, early)
    train_recommender.run(spark, early)
    (card,) = registry.cards(early)
    figures = card["figures"]
    trials = {alpha: figures[f"ndcg_als_rank_32_regularisation_0.02_alpha_{alpha}"] for alpha in (2, 8)}
    assert card["params"]["alpha"] == max((2.0, 8.0), key=lambda alpha: trials[int(alpha)])
    assert {"ndcg_untrained", "ndcg_factors", "ndcg_linear", "ndcg_neural"} < set(figures)
    told = {(row["metric"], row["scope"]): row for row in card["lists_on_holdout"]}
    assert {scope for _, scope in told} == {"all", "segment:25-34|female"}
    assert {name for name, _ in told} == {"precision", "recall", "ndcg", "map", "mrr", "novelty", "diversity", "coverage"}
    ndcg = told["ndcg", "all"]
    assert 0 < ndcg["low"] <= ndcg["value"] <= ndcg["high"]
    assert ndcg["count_users"] == 40


def test_of_many_promotions_only_those_a_user_wants_are_valued(
    spark: SparkSession, shop: Settings, settings_with: Callable[..., Settings]
) -> None:
    open_days = {"starts_at": datetime(2026, 3, 1, tzinfo=UTC), "ends_at": datetime(2026, 3, 20, tzinfo=UTC)}
    tenth = {"form": "discount", "discount_rate": 0.1, **open_days}
    stated = [
        {"promotion_id": "bread", "scope_category": "Bread", **tenth},
        {"promotion_id": "soap", "scope_category": "Soap", **tenth},
        {"promotion_id": "all", **tenth},
        {"promotion_id": "all, for others", "target_segment": "other", **tenth},
        {"promotion_id": "all, over", **tenth, "ends_at": datetime(2026, 3, 1, tzinfo=UTC)},
    ]
    tables.merge(rows(spark, tables.PROMOTIONS, *stated), shop, tables.PROMOTIONS)
    profiles = [{"user_id": f"u{u:02}", "as_of_on": AS_OF, "segment": "known"} for u in range(41)]
    tables.replace_day(rows(spark, tables.USER_PROFILES, *profiles), shop, tables.USER_PROFILES, AS_OF)
    few = settings_with(
        *(f"recommenders.{name}={value}" for name, value in {"promotion_candidates": 2, "clusters_above": 10, "probes": 5}.items())
    )
    outcome = recommend_items.run(spark, few)
    assert 0.5 < float(outcome.figures["recall_by_factors"]) <= 1
    assert 0.5 < float(outcome.figures["recall_by_content"]) <= 1
    proposed = tables.read(spark, shop, tables.PROMOTION_RECOMMENDATIONS)
    assert outcome.figures["promotion_candidates"] == proposed.count() == 2 * 41
    wanted = {(row.user_id, row.promotion_id) for row in proposed.collect()}
    mine = {(f"u{u:02}", name) for u in range(40) for name in ("all", ("bread", "soap")[taste(u)])}
    assert mine < wanted
    score_offers.run(spark, few)
    valued = {(row.user_id, row.promotion_id) for row in tables.read(spark, shop, tables.OFFER_SCORES).collect()}
    assert valued == wanted
    recommend_items.run(spark, shop)
    assert proposed.isEmpty(), "three promotions can be valued for everybody"
    assert score_offers.run(spark, shop).rows_out == 3 * 41


def own_share(lists: DataFrame) -> float:
    """Share of the first five places that hold an item of the user's taste."""
    is_own = F.substring("user_id", 2, 2).cast("int") % 2 == F.substring("item_id", 2, 2).cast("int") % 2
    return float(lists.where("rank <= 5").select(F.avg(is_own.cast("double"))).first()[0])


def test_without_a_model_the_error_names_the_job_and_a_log_too_short_for_one_what_it_needs(
    spark: SparkSession, settings: Settings, settings_with: Callable[..., Settings]
) -> None:
    store(spark, settings)
    with pytest.raises(UserError, match="run train_recommender first"):
        recommend_items.run(spark, settings)
    with pytest.raises(UserError, match="events hold nothing on known items more than 28 days before 2026-02-09"):
        train_recommender.run(spark, settings_with("run.as_of=2026-02-09"))
