"""One shop: its settings, catalogue and law, and the block of users a task works on."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

import numpy as np

from promoloop.simulator import baskets, catalogue, people, promotions
from promoloop.simulator.baskets import Tastes
from promoloop.simulator.catalogue import Catalogue
from promoloop.simulator.draws import Floats, Ints
from promoloop.simulator.law import LAW, Law
from promoloop.simulator.people import Demographics, Traits
from promoloop.simulator.promotions import Campaign, Promotion

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class World:
    """What fixes a shop: two equal worlds live the same days. Small enough to be sent to every task."""

    seed: int
    users: int
    items: int
    promotion_count: int
    opening: int  # first day of the log, counted from 1970-01-01
    days: int  # of history
    season_days: int  # days of a continuation; candidate baskets are drawn anew each season
    law: Law = LAW

    @property
    def as_of(self) -> int:
        """The day the first plan is made for."""
        return self.opening + self.days

    @property
    def blocks(self) -> int:
        """How many blocks of users there are."""
        return -(-self.users // self.law.block_users)

    @property
    def bots(self) -> int:
        """How many accounts, numbered after the users, are machines."""
        return max(1, int(self.users * self.law.bot_share))

    @property
    def bot_views(self) -> int:
        """Views of one bot in a batch."""
        law = self.law
        return min(law.bot_views, max(law.bot_views_least, int(self.users * law.bot_views_per_user)))

    @property
    def catalogue(self) -> Catalogue:
        """Items and brands."""
        return _catalogue(self)

    @property
    def campaigns(self) -> tuple[Campaign, ...]:
        """Past campaigns of the history."""
        return _campaigns(self)

    def active(self, day: int) -> tuple[Promotion, ...]:
        """The promotions on offer for the season that begins on `day`."""
        label = f"P{iso(day)}"
        return promotions.active(self.seed, day, self.season_days, self.promotion_count, self.users, self.catalogue, self.law, label)

    def season(self, day: Ints) -> Ints:
        """Season of a day: 0 begins on the first planned day, history has negative ones."""
        return np.floor_divide(np.asarray(day) - self.as_of, self.season_days)

    def block(self, number: int) -> "Block":
        """The users of one block."""
        first = number * self.law.block_users
        return Block(self, np.arange(first, min(first + self.law.block_users, self.users)))


@dataclass(frozen=True)
class Block:
    """A block of users with everything drawn about them, each part when first asked for."""

    world: World
    users: Ints  # numbers of the users, from 0

    @cached_property
    def known(self) -> Demographics:
        """Demographics."""
        return people.demographics(self.world.seed, self.users, self.world.days)

    @cached_property
    def traits(self) -> Traits:
        """Latent traits."""
        return people.traits(self.world.seed, self.users, self.known, self.world.catalogue, self.world.law)

    @cached_property
    def tastes(self) -> Tastes:
        """Choice laws over items."""
        return baskets.tastes(self.world.seed, self.users, self.traits, self.world.catalogue, self.world.law)

    def candidates(self, rows: Ints, season: Ints) -> baskets.Baskets:
        """All candidate baskets of the users at `rows` in `season`."""
        world = self.world
        return baskets.candidates(world.seed, self.users, rows, season, self.tastes, self.traits, world.catalogue, world.law)

    def basket(self, rows: Ints, season: Ints, candidate: Ints) -> baskets.Baskets:
        """One candidate basket each."""
        world = self.world
        return baskets.draw(world.seed, self.users, rows, season, candidate, self.tastes, self.traits, world.catalogue, world.law)

    def staples_due(self, day: int) -> baskets.Flags:
        """Which of the users' staples are bought again in the season of `day` (users x staples)."""
        world, slots = self.world, np.arange(self.world.law.staples)[None, :]
        season = world.season(np.asarray(day))
        return baskets.is_due(world.seed, self.users[:, None], slots, season, self.tastes.staples, world.catalogue)

    def rate(self, day: int) -> Floats:
        """Browsing sessions a day on `day`, before fatigue; none before the user joined."""
        is_member = self.world.opening + self.known.joined <= day
        return np.where(is_member, self.traits.sessions * self.traits.weekday[:, weekday(day)], 0.0)


@lru_cache(maxsize=4)
def _catalogue(world: World) -> Catalogue:
    return catalogue.draw(world.seed, world.items, world.law)


@lru_cache(maxsize=4)
def _campaigns(world: World) -> tuple[Campaign, ...]:
    dates = {day: iso(day) for day in range(world.opening, world.as_of)}
    return promotions.past(
        world.seed,
        world.opening,
        world.days,
        world.season_days,
        world.promotion_count,
        world.users,
        world.catalogue,
        world.law,
        dates,
    )


def iso(day: int) -> str:
    """ISO date of a day counted from 1970-01-01."""
    return day_of(day).isoformat()


def day_of(day: int) -> date:
    """The date of a day counted from 1970-01-01."""
    return EPOCH + timedelta(days=int(day))


def number(on: date) -> int:
    """Days of `on` since 1970-01-01."""
    return (on - EPOCH).days


def weekday(day: int) -> int:
    """0 on Mondays."""
    return (day + 3) % 7
