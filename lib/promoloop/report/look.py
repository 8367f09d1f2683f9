"""How the page writes money, scopes and limits."""

import re
from dataclasses import dataclass

from promoloop.report import words
from promoloop.report.facts import Effect, Facts, Resource, is_few

_LIMITS = {"budget": "Budget", "inventory": "Stock", "floor": "Floor", "channel": "Channel", "category": "Category", "region": "Region"}


@dataclass(frozen=True)
class Look:
    """Numbers with this report's currency and names with its promotions."""

    facts: Facts
    currency: str

    def money(self, amount: float | None) -> str:
        """An amount of money."""
        return words.money(amount, self.currency)

    def users(self, number: int | float | None) -> str:
        """A number of users; of a group that is too small only that it is."""
        return f"fewer than {self.facts.k}" if is_few(number, self.facts.k) else words.count(number)

    def tick(self, amount: float) -> str:
        """An amount of money on an axis."""
        return words.tick(amount, self.currency)

    def interval(self, effect: Effect) -> str:
        """The 95 % interval of a measured amount; a dash where it is withheld."""
        return "–" if effect.value is None else words.interval(effect.low, effect.high, self.currency)

    def scope(self, effect: Effect) -> str:
        """What an effect is of."""
        return self.facts.name_of(effect.of) if effect.kind == "promotion" else words.plain(effect.of or effect.kind)

    def sentence(self, limit: Resource) -> str:
        """What a limit's price means, with the promotion called as users know it."""
        promotion = limit.name.partition(":")[2]
        if not promotion:
            return limit.sentence
        # the first whole word: an id may look like the amounts, which come after it or hold commas and points
        alone = rf"(?<![\w.,]){re.escape(promotion)}(?![\w.,])"
        return re.sub(alone, lambda _: f"“{self.facts.name_of(promotion)}”", limit.sentence, count=1)

    def limit(self, name: str) -> str:
        """A resource in a marketer's words."""
        kind, colon, of = name.partition(":")
        return f"{_LIMITS.get(kind, words.plain(kind))}{f': {self.facts.name_of(of)}' if colon else ' in all'}"
