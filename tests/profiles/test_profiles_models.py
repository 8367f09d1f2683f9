"""Each model finds the cause it was built to find, beats its baseline, and is a plain prior where there is nothing to learn."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from behaviour_builder import Shop
from builders import rows
from places import settings_in
from promoloop import features, profiles, registry, tables
from promoloop.errors import UserError
from promoloop.frames import settle
from promoloop.profiles import brands, buying, interest, price, segments
from promoloop.profiles.history import days
from promoloop.profiles.pairs import with_candidates
from promoloop.profiles.trained import best_of, constant, exact_auc, search, tellable, thin
from promoloop.settings import Settings
from promoloop.tables import USER_FEATURES, USER_PROFILES, enforce

AS_OF = date(2026, 3, 2)


def test_the_area_under_the_curve_is_exact_whatever_the_partitions(spark: SparkSession) -> None:
    scored = spark.range(5000).select(
        (F.pmod(F.xxhash64("id"), F.lit(1_000_000)) / 1e6).alias("p"),
        (F.pmod(F.xxhash64("id", F.lit(1)), F.lit(3)) == 0).cast("double").alias("label"),
    )
    kept = scored.withColumn("label", F.when(F.col("p") > 0.7, 1.0).otherwise(F.col("label"))).collect()
    held = spark.createDataFrame(kept, scored.schema)
    above = [row.p for row in kept if row.label == 1]
    below = [row.p for row in kept if row.label == 0]
    exact = np.mean(np.array(above)[:, None] > np.array(below)) + np.mean(np.array(above)[:, None] == np.array(below)) / 2
    for partitions in (1, 3, 7):
        assert exact_auc("p").evaluate(held.repartition(partitions)) == pytest.approx(exact, abs=1e-9)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def shop(spark: SparkSession, profiled: Settings) -> Shop:
    users, items, promotions, events = (
        tables.read(spark, profiled, table) for table in (tables.USERS, tables.ITEMS, tables.PROMOTIONS, tables.EVENTS)
    )
    return Shop(users, items, promotions, settle(events))


def recalled(shop: Shop, settings: Settings, events: DataFrame) -> profiles.History:
    return profiles.recall(events, shop.users, shop.items, shop.promotions, AS_OF, settings.profiles, settings.features, settings.run.seed)


@pytest.fixture(scope="module")
def cards(profiled: Settings) -> dict[str, dict[str, Any]]:
    """Of the models that the job trained on the shop, by name."""
    return {card["name"]: card for card in registry.cards(profiled)}


@pytest.fixture(scope="module")
def people(spark: SparkSession, profiled: Settings) -> dict[str, Row]:
    return {row["user_id"]: row for row in tables.read(spark, profiled, USER_PROFILES).collect()}


@pytest.mark.slow
def test_models_beat_their_baselines_on_the_holdout(cards: dict[str, dict[str, Any]]) -> None:
    buying = cards["buy_probability"]
    assert buying["figures"]["holdout_auc"] > 0.85
    assert buying["figures"]["holdout_log_loss"] < 0.75 * buying["figures"]["baseline_log_loss"]
    assert buying["calibration"]
    assert sum(tenth["rows"] for tenth in buying["calibration"]) <= buying["figures"]["holdout_rows"] == 240
    assert all(tenth["rows"] >= 10 for card in cards.values() for tenth in card.get("calibration", [])), "privacy.k_anonymity"
    brand = cards["brand_preference"]["figures"]
    assert brand["holdout_accuracy"] > 0.65 > 2 * brand["baseline_accuracy"], "four purchases of five are of the favourite brand"
    spread = cards["category_interest"]["figures"]
    assert spread["holdout_rmse"] < 0.95 * spread["baseline_rmse"]
    assert cards["form_preference"]["figures"]["holdout_auc"] > 0.8
    assert "is_discount" in cards["form_preference"]["rules"]
    assert cards["price_sensitivity"]["figures"]["holdout_correlation"] > 0.3


@pytest.mark.slow
def test_profiles_show_the_causes(shop: Shop, people: dict[str, Row]) -> None:
    past = shop.events.where("event_type = 'purchase'").join(shop.items, "item_id").groupBy("user_id", "brand").count()
    most = past.where("count >= 4").groupBy("user_id").agg(F.max_by("brand", "count").alias("brand"))
    favourite = {row["user_id"]: row["brand"] for row in most.collect()}
    agreeing = [people[user]["preferred_brand"] == brand for user, brand in favourite.items()]
    assert len(agreeing) > 30
    assert sum(agreeing) / len(agreeing) > 0.9
    redeemed = {row[0] for row in shop.events.where("event_type = 'offer_redeem'").select("user_id").distinct().collect()}
    assert {people[user]["preferred_form"] for user in redeemed} == {"discount"}
    thrifty = [row["price_sensitivity"] for user, row in people.items() if user in redeemed]
    others = [row["price_sensitivity"] for user, row in people.items() if user not in redeemed]
    assert sum(thrifty) / len(thrifty) > sum(others) / len(others) + 0.2


@pytest.mark.slow
def test_users_never_seen_are_judged_by_the_prior(people: dict[str, Row]) -> None:
    cold = [row for user, row in people.items() if int(user[1:]) % 5 == 0]
    warm = [row for user, row in people.items() if int(user[1:]) % 5 != 0]
    assert len(cold) == 48
    assert {row["segment"] for row in cold} == {"new"}
    assert {row["price_sensitivity"] for row in cold} == {cold[0]["price_sensitivity"]}
    assert max(row["buy_probability"] for row in cold) < sum(row["buy_probability"] for row in warm) / len(warm)
    assert len({row["preferred_brand"] for row in cold}) == 1
    assert sum(cold[0]["category_interest"].values()) == pytest.approx(1, abs=1e-6)


def test_every_penalty_of_the_search_is_tried(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("profiles.buying_penalties=[0.01,0.1,1.0]")
    evaluator, own = BinaryClassificationEvaluator(), settings.profiles
    searching = search(buying._regression(), "regParam", own.buying_penalties, evaluator, own, settings.run.seed)
    tried = [searching.getEstimator().copy(given).getRegParam() for given in searching.getEstimatorParamMaps()]
    assert tried == list(own.buying_penalties) == [0.01, 0.1, 1.0]


@pytest.mark.parametrize(("is_larger_better", "best"), [(True, (1.0, 0.8)), (False, (0.1, 0.6))])
def test_of_what_was_searched_the_best_is_taken(is_larger_better: bool, best: tuple[float, float]) -> None:
    evaluator = SimpleNamespace(isLargerBetter=lambda: is_larger_better)
    searched = SimpleNamespace(getEvaluator=lambda: evaluator, avgMetrics=[0.7, 0.6, 0.8])
    assert best_of((0.01, 0.1, 1.0), searched) == best  # type: ignore[arg-type]


@pytest.mark.slow
def test_with_nothing_to_learn_models_are_priors(shop: Shop, settings: Settings) -> None:
    early = "event_type = 'purchase' AND occurred_on >= '2026-01-19' AND occurred_on < '2026-02-02'"  # bought on a training day alone
    views = shop.events.where(f"event_type = 'view' OR {early}").withColumn("price", F.lit(None).cast("decimal(18,2)"))
    bare = Shop(shop.users, shop.items.withColumn("price", F.lit(None).cast("decimal(18,2)")), shop.promotions, views)
    trained = {model.name: model for model in profiles.train(recalled(bare, settings, views), settings.profiles, settings.run.seed)}
    constant = {name for name, model in trained.items() if model.params.get("is_constant")}
    assert constant == {"buy_probability", "brand_preference", "form_preference"}
    documents: dict[str, Any] = {name: trained[name].model for name in (price.NAME, segments.NAME)}
    pipelines: dict[str, Any] = {name: model.model for name, model in trained.items() if name not in documents}
    champions = profiles.Champions(pipelines, documents, dict.fromkeys(trained, "1"))
    described = settle(features.per_user(views, bare.users, bare.items, bare.promotions, [AS_OF], 365, 20))
    scored = enforce(profiles.score(described, champions, settings.profiles), USER_PROFILES)
    people = {row["user_id"]: row for row in scored.collect()}
    assert len(people) == 240
    rate = 1 / (2 * 240 + 2)  # nobody of 240 on the two latest days, one buyer and one other added
    assert {row["buy_probability"] for row in people.values()} == {round(rate, 9)}
    assert {row["price_sensitivity"] for row in people.values()} == {0.5}
    assert {row["preferred_form"] for row in people.values()} == {None}
    assert len({row["preferred_brand"] for row in people.values()}) == 1


def test_where_nobody_is_seen_to_look_no_trait_tells_of_prices(spark: SparkSession, settings: Settings) -> None:
    """Invoices alone: purchases at several prices, no views, no offers."""
    kinds = "count_bought_priced bigint, relative_price_viewed double, relative_price_bought double, relative_price_variance double"
    more = "promoted_order_share double, count_orders_90d bigint, relative_price_next double"
    rows = spark.createDataFrame([(1, None, n / 60, None, 0.0, 1, n / 30) for n in range(60)], f"{kinds}, {more}")
    trained = price.train(rows, rows, rows, settings.profiles)
    assert trained.figures == {"holdout_correlation": 0.0, "holdout_rows": 60.0}
    document: Any = trained.model
    assert {row[0] for row in rows.select(price.index(document)).collect()} == {0.5}


def test_the_past_is_cut_without_overlap(spark: SparkSession, settings: Settings) -> None:
    def log(first: str) -> DataFrame:
        return spark.createDataFrame([(first,), ("2026-03-01",), ("2026-03-09",)], "day string").select(
            F.col("day").cast("date").alias("occurred_on")
        )

    assert days(log("2026-01-01"), AS_OF, settings.profiles) == (date(2026, 2, 16), [date(2026, 2, 2), date(2026, 1, 19)])
    assert days(log("2026-01-20"), AS_OF, settings.profiles) == (date(2026, 2, 16), [date(2026, 2, 2)])
    with pytest.raises(UserError, match=r"events cover 20 days before 2026-03-02, profiles need 35"):
        days(log("2026-02-10"), AS_OF, settings.profiles)
    with pytest.raises(UserError, match="table events holds nothing before 2026-01-01"):
        days(log("2026-01-01"), date(2026, 1, 1), settings.profiles)


@pytest.mark.slow
def test_training_rows_know_nothing_of_what_came_after(shop: Shop, settings: Settings) -> None:
    later = shop.events.withColumn("occurred_on", F.date_add("occurred_on", 60)).withColumn("event_id", F.concat("event_id", F.lit("x")))
    with_later = shop.events.unionByName(later.withColumn("occurred_at", F.expr("occurred_at + INTERVAL 60 DAYS")))
    joined = F.when(F.substring("user_id", -1, 1) != "0", F.col("joined_on"))  # of half of those who never act nobody knows when
    shop = replace(shop, users=shop.users.withColumn("joined_on", joined))
    one, other = recalled(shop, settings, shop.events), recalled(shop, settings, with_later)
    described = one.rows.collect()
    assert sorted(map(str, described)) == sorted(map(str, other.rows.collect()))
    assert {row["user_id"] for row in described if row["days_since_first_event"] is None} >= {"u0005", "u0015"}
    assert all(row["tenure_days"] is not None or row["days_since_first_event"] is not None for row in described)
    assert not {row["user_id"] for row in described} & {"u0000", "u0010"}, "nobody knew then that they would ever be there"
    labels = {(row["user_id"], row["as_of_on"]) for row in one.rows.where("label = 1").collect()}
    window = shop.events.where("event_type = 'purchase'").where(F.col("occurred_on") >= F.date_sub(F.lit(AS_OF), 14))
    buyers = {row["user_id"] for row in window.collect()}
    assert {user for user, day in labels if day == date(2026, 2, 16)} == buyers


def test_segments_by_rule(spark: SparkSession, settings: Settings) -> None:
    known = {"days_since_first_event": 50, "tenure_days": 200, "days_since_visit": 3, "price_sensitivity": 0.5}
    cases: list[tuple[str, dict[str, Any]]] = [
        ("new", {**known, "days_since_first_event": None, "days_since_visit": None}),
        ("new", {**known, "days_since_first_event": 5, "tenure_days": 9}),
        ("occasional", {**known, "days_since_first_event": 5}),
        ("lapsing", {**known, "days_since_first_event": 400, "days_since_visit": None}),
        ("lapsing", {**known, "days_since_visit": 22, "count_units": 9, "count_orders_90d": 9}),
        ("bargain_hunter", {**known, "price_sensitivity": 0.7, "count_units": 1, "count_orders_90d": 9}),
        ("occasional", {**known, "price_sensitivity": 0.7, "count_units": 0, "count_orders_90d": 0}),
        ("loyal", {**known, "count_units": 4, "count_orders_90d": 4}),
        ("occasional", {**known, "count_units": 4, "count_orders_90d": 3}),
    ]
    stated = [{"user_id": str(n), "count_units": 0, "count_orders_90d": 0, **case} for n, (_, case) in enumerate(cases)]
    sensitivity = {row["user_id"]: row.pop("price_sensitivity") for row in stated}
    described = rows(spark, USER_FEATURES, *[{**row, "categories": [], "brands": []} for row in stated])
    sensitive = F.create_map(*(F.lit(part) for pair in sensitivity.items() for part in pair))[F.col("user_id")]
    found = described.withColumn("price_sensitivity", sensitive).select(
        "user_id", segments.segment({"loyal_orders_90d": 4.0}, settings.profiles).alias("segment")
    )
    assert {row["user_id"]: row["segment"] for row in found.collect()} == {str(n): name for n, (name, _) in enumerate(cases)}


def test_thinning_keeps_the_same_rows_whatever_the_partitions(spark: SparkSession) -> None:
    users = spark.range(2000).select(F.col("id").cast("string").alias("user_id"))
    kept = {row[0] for row in thin(users, ["user_id"], 0.25, 7).collect()}
    assert kept == {row[0] for row in thin(users.repartition(5, F.reverse("user_id")), ["user_id"], 0.25, 7).collect()}
    assert 400 < len(kept) < 600
    assert kept != {row[0] for row in thin(users, ["user_id"], 0.25, 8).collect()}


def taste(name: str, units: int) -> Row:
    return Row(name=name, interest=units / 10, views=units, carts=0, units=units, days_since=3)


def test_interest_is_learned_of_some_who_were_active_and_popularity_is_that_among_all(spark: SparkSession, settings: Settings) -> None:
    """Of the users whom the thinning of the history left, one half liked tea and is active in the window."""
    left = thin(spark.range(400).select(F.col("id").cast("string").alias("user_id")), ["user_id"], 0.5, 7).collect()
    stated = ({"user_id": row[0], "brands": [], "categories": [taste(("soap", "tea")[n % 2], 1)]} for n, row in enumerate(left))
    described = rows(spark, USER_FEATURES, *stated).withColumn("next_category", F.lit("tea"))
    lovers = described.where(F.col("categories")[0]["name"] == "tea")
    active = lovers.select("user_id", "as_of_on", F.lit("tea").alias("name"), F.lit(1.0).alias("next_interest"))
    own = settings.profiles.model_copy(update={"max_rows": 100, "popular_categories": 2})
    pairs = interest._labelled(described, active, own, 7).collect()
    chosen = {row["user_id"] for row in pairs}
    assert chosen < {row["user_id"] for row in lovers.collect()}
    assert 30 < len(chosen) < 70, "50 users make 100 pairs"
    assert {row["name"]: row["popularity"] for row in pairs} == pytest.approx({"soap": 0.5, "tea": 0.5}, abs=0.01)
    trained = interest.train(described, described, described.where("false"), active, own, 7)
    assert trained.params["is_constant"], "there is nobody to fit the champion to"
    lonely = rows(spark, USER_FEATURES, {"user_id": "ann", "brands": [], "categories": [taste(f"c{n}", 1) for n in range(25)]})
    touched = lonely.select("user_id", "as_of_on", F.explode("categories.name").alias("name"), F.lit(0.04).alias("next_interest"))
    lonely = lonely.withColumn("next_category", F.lit("c0"))
    assert interest.train(lonely, lonely, lonely, touched, own, 7).params["is_constant"], "one user is in one fold"


def test_candidates_are_ones_own_and_the_popular(spark: SparkSession) -> None:
    described = rows(
        spark,
        USER_FEATURES,
        {"user_id": "ann", "categories": [], "brands": [taste("Ash", 9), taste("Yew", 1)]},
        {"user_id": "bob", "categories": [], "brands": [taste("Elm", 10)]},
        {"user_id": "eve", "categories": [], "brands": []},
    )
    pairs = with_candidates(described, "brands", 2)
    found = {(row["user_id"], row["name"]): row for row in pairs.collect()}
    assert set(found) == {(u, b) for u in ("ann", "bob", "eve") for b in ("Ash", "Elm")} | {("ann", "Yew")}
    assert (found["ann", "Ash"]["interest"], found["ann", "Elm"]["interest"], found["eve", "Elm"]["rank"]) == (0.9, 0.0, 0.0)
    assert found["ann", "Yew"]["popularity"] == pytest.approx(0.05)
    even = {(row["user_id"], row["name"]): row["p"] for row in brands.probabilities(constant(brands._POPULAR), pairs).collect()}
    assert (even["ann", "Ash"], even["ann", "Elm"], even["ann", "Yew"]) == pytest.approx((0.45, 0.5, 0.05)), "popularity, as it says"
    assert (even["eve", "Ash"], even["eve", "Elm"]) == pytest.approx((0.45 / 0.95, 0.5 / 0.95))


def test_what_few_rows_tell_is_not_told() -> None:
    card = {"rules": "If", "calibration": [{"predicted": 0.1, "rows": 10}, {"predicted": 0.9, "rows": 9}]}
    assert tellable(card, 10) == {"rules": "If", "calibration": [{"predicted": 0.1, "rows": 10}]}
