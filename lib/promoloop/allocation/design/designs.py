"""A design in the shop's terms: as rows of the promotions table, and as rows of campaign_designs."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from promoloop.allocation.design.ground import Ground, Judged
from promoloop.offers.variants import TERMS

_PARTS = tuple(term for term in TERMS if not term.startswith("valid_"))


@dataclass(frozen=True)
class Design:
    """Which variant of each candidate runs (place in the ground's variants, -1: none), on what budget (money; None: no own limit)."""

    variants: tuple[int, ...]
    budgets: tuple[float | None, ...]
    judged: Judged


@dataclass(frozen=True)
class Front:
    """Designs none of which is beaten in both profit and satisfaction, the most profitable first; and the promotions as they are."""

    designs: tuple[Design, ...]
    today: Design

    def numbered(self, number: int) -> Design:
        """Design 0 is today's promotions, 1 the most profitable of the front, ..."""
        return self.designs[number - 1] if number else self.today


def today(ground: Ground) -> Design:
    """The promotions as they are, judged the same way."""
    place = {one.promotion_id: number for number, one in enumerate(ground.variants) if one.levels is None}
    variants = tuple(place.get(promotion["promotion_id"], -1) for promotion in ground.candidates)
    budgets = tuple(None if promotion["budget"] is None else float(promotion["budget"]) for promotion in ground.candidates)
    return Design(variants, budgets, ground.judge(variants, budgets))


def promotions_of(ground: Ground, design: Design) -> list[dict[str, Any]]:
    """The promotions that run, as rows of the promotions table (and the columns of eligibility.open_promotions)."""
    return [
        _promotion(ground, promotion, variant, budget)
        for promotion, variant, budget in zip(ground.candidates, design.variants, design.budgets, strict=True)
        if variant >= 0
    ]


def _promotion(ground: Ground, promotion: Mapping[str, Any], variant: int, budget: float | None) -> dict[str, Any]:
    terms = ground.variants[variant].terms
    window = {"starts_at": terms["valid_from_at"], "ends_at": terms["valid_until_at"]}
    return {**promotion, **terms, **window, "budget": None if budget is None else Decimal(budget).quantize(Decimal("0.01"))}


def told(ground: Ground, front: Front, chosen: int, run_id: str) -> list[dict[str, Any]]:
    """Rows of campaign_designs: design 0 is today's promotions, 1 the most profitable of the front, ...; `chosen` counts the same way."""
    rows = []
    for number, design in enumerate((front.today, *front.designs)):
        whole = {
            "run_id": run_id,
            "design": number,
            "is_chosen": number == chosen,
            "design_profit": design.judged.profit,
            "design_satisfaction": design.judged.satisfaction,
        }
        for place, promotion in enumerate(ground.candidates):
            is_run = design.variants[place] >= 0
            ran = _promotion(ground, promotion, design.variants[place], design.budgets[place]) if is_run else {"form": promotion["form"]}
            expected = {
                "expected_offers": float(design.judged.offers[place]),
                "expected_cost": float(design.judged.costs[place]),
                "expected_profit": float(design.judged.profits[place]),
            }
            terms = {name: ran.get(name) for name in (*_PARTS, "starts_at", "ends_at", "budget", "inventory")}
            rows.append({**whole, "promotion_id": promotion["promotion_id"], "is_run": is_run, **terms, **expected})
    return rows
