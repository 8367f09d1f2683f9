"""Past campaigns: who was drawn into which arm, with which propensity."""

from dataclasses import dataclass

import numpy as np

from promoloop.simulator.draws import Floats, Ints, uniforms
from promoloop.simulator.law import CHANNELS
from promoloop.simulator.orders import Sent
from promoloop.simulator.promotions import Promotion
from promoloop.simulator.world import Block, World

ARMS = ("treatment", "explore", "control")


@dataclass(frozen=True)
class Assignment:
    """Every consenting user of a block in every campaign they had joined for, arrays of one length."""

    row: Ints
    campaign: Ints
    promotion: Ints  # index into `promotions(world)`
    arm: Ints
    propensity: Floats  # probability of this arm and promotion
    key: Ints  # of the offer


def promotions(world: World) -> tuple[Promotion, ...]:
    """All promotions of all past campaigns, in order."""
    return tuple(promotion for campaign in world.campaigns for promotion in campaign.promotions)


def assign(block: Block) -> Assignment:
    """Draw arm and promotion: the promotion uniformly, then treatment, explore (both sent) or control (withheld)."""
    world, law = block.world, block.world.law
    shares = np.array([law.treated_share, law.explored_share, 1 - law.treated_share - law.explored_share])
    parts, before = [], 0
    for index, campaign in enumerate(world.campaigns):
        row = np.flatnonzero((block.known.has_consent > 0) & (world.opening + block.known.joined <= campaign.starts))
        user = block.users[row]
        count = len(campaign.promotions)
        which = np.floor(uniforms(world.seed, "campaign promotion", user, campaign.starts) * count).astype(np.int64)
        arm = np.digitize(uniforms(world.seed, "campaign arm", user, campaign.starts), np.cumsum(shares)[:-1])
        parts.append((row, np.full(len(row), index), before + which, arm, shares[arm] / count, np.full(len(row), campaign.starts)))
        before += count
    return Assignment(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def sent(block: Block, assignment: Assignment) -> Sent:
    """The messages of the arms that are sent."""
    offered = promotions(block.world)
    starts = np.array([promotion.starts for promotion in offered])
    ends = np.array([promotion.ends for promotion in offered])
    go = assignment.arm < ARMS.index("control")
    which = assignment.promotion[go]
    return Sent(assignment.row[go], which, starts[which], ends[which], assignment.key[go])


def offer_ids(seed: int, users: Ints, keys: Ints) -> list[str]:
    """Opaque ids of the offers to `users` in the campaigns that began on days `keys`."""
    first, second = (
        np.floor(uniforms(seed, stream, users, keys) * 2**48).astype(np.int64).tolist() for stream in ("offer id", "offer id, rest")
    )
    return [f"O{high:012x}{low:012x}" for high, low in zip(first, second, strict=True)]


def channel(block: Block, row: int) -> str:
    """Channel a message goes by: the user's preferred one."""
    return CHANNELS[int(block.known.preferred_channel[row])]
