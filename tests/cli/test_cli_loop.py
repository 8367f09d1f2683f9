from collections.abc import Callable
from datetime import date

import pytest

from promoloop.cli import loop
from promoloop.errors import UserError
from promoloop.settings import Settings

LABELS = {
    "simulate_shop", "ingest_events", "clean_events", "build_features", "train_profiles", "score_profiles", "train_recommender",
    "recommend_items", "score_offers", "allocate_promotions", "issue_offers", "simulate_shop.outcome", "ingest_events.outcome",
    "clean_events.outcome", "evaluate_promotions",
}  # fmt: skip


def test_one_cycle_of_the_embedded_shop_ends_with_what_the_offers_brought_about(settings: Settings) -> None:
    steps = loop.plan(settings)
    assert {step.label for step in steps} == LABELS
    assert [step.name for step in steps[-4:]] == [
        "simulate_shop.outcome", "ingest_events.outcome", "clean_events.outcome", "evaluate_promotions",
    ]  # fmt: skip
    assert {step.as_of for step in steps} == {settings.run.as_of}


def test_the_second_cycle_plans_for_the_day_after_the_first_outcome(settings_with: Callable[..., Settings]) -> None:
    steps = loop.plan(settings_with("run.as_of=2026-02-10", "shop.continue_days=7"), cycles=3)
    assert {step.cycle: step.as_of for step in steps} == {1: date(2026, 2, 10), 2: date(2026, 2, 17), 3: date(2026, 2, 24)}
    assert len({step.label for step in steps}) == len(steps)
    second = [step.job for step in steps if step.cycle == 2]
    assert second[0] == "build_features"
    assert second.count("simulate_shop") == 1


def test_a_log_that_cannot_react_has_neither_simulator_nor_second_cycle(settings_with: Callable[..., Settings]) -> None:
    real = settings_with('source.name="completejourney"')
    assert loop.plan(real)[0].job == "ingest_events"
    assert "simulate_shop" not in {step.job for step in loop.plan(real)}
    with pytest.raises(UserError, match="completejourney cannot react"):
        loop.plan(real, cycles=2)


def test_between_keeps_both_ends(settings: Settings) -> None:
    steps = loop.between(loop.plan(settings, 2), "clean_events.outcome", "2:train_profiles")
    assert [step.label for step in steps] == ["clean_events.outcome", "evaluate_promotions", "2:build_features", "2:train_profiles"]


@pytest.mark.parametrize(("first", "last", "named"), [("clean_event", None, "clean_event"), ("score_offers", "clean_events", "before")])
def test_between_names_what_is_wrong(settings: Settings, first: str, last: str | None, named: str) -> None:
    with pytest.raises(UserError, match=named):
        loop.between(loop.plan(settings), first, last)


def test_each_step_gets_its_own_day_and_run_id(settings: Settings) -> None:
    step = loop.plan(settings, 2)[-1]
    assert step.settings(settings).run.run_id == f"plan-{step.as_of}"
    assert step.as_of != settings.run.as_of
    assert step.settings(settings).shop == settings.shop
