"""Limits of the settings as resources of the programme."""

from typing import Any

import pytest

from promoloop.allocation.limits import problem_of
from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.settings.plan import Limit


def promotion(name: str) -> dict[str, Any]:
    return {"promotion_id": name, "form": "discount", "scope_category": None, "budget": None, "inventory": None}


def test_what_runs_has_its_ceiling_too_and_what_is_not_on_offer_does_not_run(settings: Settings) -> None:
    demand = Limit(by="promotion", which="b", measure="offers", at_least=500, at_most=800, once_it_runs=True)
    own = settings.allocation.model_copy(update={"budget": 10.0, "limits": [demand]})
    problem = problem_of([promotion("a"), promotion("b")], own, 0.25)
    assert problem.minimums == (0.0, 500.0)
    assert [(resource.name, resource.capacity, resource.is_floor) for resource in problem.resources] == [
        ("budget", 7.5, False),
        ("promotion:b:offers", 600.0, False),
    ]
    assert problem_of([promotion("a")], own, 0.25).minimums is None
    must = own.model_copy(update={"limits": [demand.model_copy(update={"once_it_runs": False})]})
    with pytest.raises(UserError, match="at least 500 for promotion b, but nothing on offer has it"):
        problem_of([promotion("a")], must, 0.25)
