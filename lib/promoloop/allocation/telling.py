"""The certificate as rows of allocation_resources, each resource with what its shadow price means to the marketer."""

from collections.abc import Sequence
from typing import Any

from promoloop.allocation.problem import Floats, Problem, Resource
from promoloop.allocation.scheme import Certificate


def describe(problem: Problem, certificate: Certificate, run_id: str, kinds: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of allocation_resources: every resource, and the row `plan`; `kinds`: what of users the cells' names are made of."""
    plan = {
        "run_id": run_id,
        "resource": "plan",
        "objective": certificate.objective,
        "bound": certificate.bound,
        "gap": certificate.gap,
        "count_passes": certificate.count_passes,
        "seconds_per_pass": certificate.seconds_per_pass,
        "kinds": list(kinds),
        "sentence": f"no plan can be worth more than {certificate.bound:,.2f}; this one is worth {certificate.objective:,.2f}",
    }
    used = problem.sign * certificate.use + 0.0
    rows = [
        {
            "run_id": run_id,
            "resource": resource.name,
            "capacity": resource.capacity,
            "used": float(used[k]),
            "shadow_price": float(certificate.prices[k]),
            "sentence": _sentence(resource, float(used[k]), float(certificate.prices[k])),
            "quantity": resource.quantity,
            "is_floor": resource.is_floor,
            "by_promotion": _weights(problem.promotions, resource.by_promotion),
            "by_cell": None if resource.by_cell is None else _weights(problem.cells, resource.by_cell),
        }
        for k, resource in enumerate(problem.resources)
    ]
    return [*rows, plan]


def _weights(names: Sequence[str], weights: Floats) -> dict[str, float]:
    return {name: float(weight) for name, weight in zip(names, weights, strict=True) if weight}


def _sentence(resource: Resource, used: float, price: float) -> str:
    kind, _, of = resource.name.partition(":")
    if kind == "disparity":
        group = " ".join(of.split(":")[:-1])
        return (
            f"equal treatment of {group} costs {price:,.2f} for each offer it moves" if price > 0 else f"{group} is treated like the others"
        )
    if kind == "minimum" and (resource.is_floor or not used):
        return f"{of} runs for at least {resource.capacity:,.0f}" if used else f"{of} does not run: so few were worth it"
    if resource.is_floor:
        return f"one unit less asked of {of} would earn {price:,.2f}" if price > 0 else f"{of} is met without being asked for"
    if price <= 0:
        return f"not scarce: {resource.capacity - used:,.2f} of {resource.capacity:,.2f} is left over"
    if kind == "inventory":
        return f"{of} runs out: each further unit is worth {price:,.2f}"
    if resource.quantity == "count":
        return f"one more offer for {kind} {of.removesuffix(':offers')} earns {price:,.2f}"
    whose = f"the budget of {kind} {of.removesuffix(':cost')}"
    if kind == "budget":
        whose = f"the budget of {of}" if of else "the total budget"
    return f"one more 1,000 of {whose} earns {1000 * price:,.0f}"
