"""Figures of groups of fewer than k users are taken out of the facts; sizes that small are withheld where they are written."""

from collections import Counter
from dataclasses import replace

from promoloop.report.facts import Effect, Facts, Run, is_few


def withheld(found: Facts) -> Facts:
    """`found` with None for each figure of fewer than `found.k` users; what they are part of among more users stays."""
    runs = tuple(_run(run, found.k) for run in found.runs)
    return replace(found, runs=runs, past=tuple(_effect(effect, found.k) for effect in found.past))


def _run(run: Run, k: int) -> Run:
    planned: Counter[str | None] = Counter()
    for entry in run.issued:
        if entry.arm in ("treatment", "control"):
            planned[entry.promotion_id] += entry.users
    everyone = planned.total()
    # a limit of no promotion (a region, a channel) is of nobody but the planned: how many of them is not on record
    limits = tuple(
        replace(limit, used=None)
        if limit.quantity == "cost" and is_few(planned.get(limit.name.partition(":")[2], everyone), k)
        else limit
        for limit in run.resources
    )  # fmt: skip
    certificate = None if is_few(everyone, k) else run.certificate
    effects = tuple(_effect(effect, k) for effect in run.effects)
    return replace(run, certificate=certificate, resources=limits, effects=effects, k=k)


def _effect(effect: Effect, k: int) -> Effect:
    # of a refused estimate the value is itself a number of users, and notes tell numbers too
    is_size = effect.metric == "effective_users"
    if is_few(effect.treated, k) or (is_size and is_few(effect.value, k)):
        return replace(effect, value=None, low=None, high=None, note="")
    return effect
