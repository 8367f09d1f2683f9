"""One full pass over all blocks, wherever they lie: what is asked of each block, and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from promoloop.allocation.pricing import Array, Block, choose, total
from promoloop.allocation.problem import Floats, Problem


@dataclass(frozen=True)
class Question:
    """Prices to try, and the margin up to which a user counts as undecided at them and is sent to the driver.

    `share` of a block's users are sent at the most: where all are tied, the driver sees a part of them. `temperature`: users choose
    with luck of so many money units (`Block.shaken`).
    """

    prices: Floats
    margin: float
    share: float = 1.0
    temperature: float = 0.0


@dataclass(frozen=True)
class Band:
    """Undecided users with all their options: where each lies (block, row, part), and they themselves as a block."""

    number: Array
    row: Array
    part: Array
    block: Block

    @property
    def users(self) -> int:
        """Users in the band."""
        return len(self.row)


@dataclass(frozen=True)
class Answer:
    """What all users do at the prices of a question.

    `surplus` is that of all users without luck; `value` and `use` (signed) are those of the decided users, one row per part of a
    block, parts in order of block and place; the undecided are listed in `band`, but for a `crowd` of so many too many to send.
    """

    surplus: float
    value: Floats
    use: Floats
    band: Band
    crowd: int = 0


class Scan(Protocol):
    """Blocks that can be priced: in memory or on a cluster."""

    @property
    def users(self) -> int:
        """Users in all blocks."""
        ...

    def price(self, problem: Problem, questions: Sequence[Question]) -> list[Answer]:
        """One pass: the answers to all questions."""
        ...

    def sample(self, users: int) -> Block:
        """About `users` users drawn evenly, as one block; all of them where there are no more."""
        ...


def part_of(users: int, parts: int) -> Array:
    """The part of a block each of its users belongs to."""
    return (np.arange(users, dtype=np.int64) * parts) // max(users, 1)


def answer(block: Block, problem: Problem, question: Question, parts: int) -> Answer:
    """One block's share of the answer to `question`."""
    part = part_of(block.users, parts)
    choices = choose(block, problem, question.prices)
    everyone = total(block, choices.option, problem, question.prices, part, parts)
    if question.temperature:
        block = block.shaken(question.temperature)
        choices = choose(block, problem, question.prices)
    margin = choices.margin
    open_users = np.nonzero(margin <= question.margin)[0]
    most = int(np.ceil(question.share * block.users))
    crowd = max(0, len(open_users) - most)
    if crowd:
        open_users = np.sort(open_users[np.argsort(margin[open_users], kind="stable")[:most]])
    if len(open_users) or question.temperature:
        option = choices.option.copy()
        option[:, open_users] = -1
        decided = total(block, option, problem, question.prices, part, parts)
    else:
        decided = everyone
    band = Band(
        np.full(len(open_users), block.number, np.int32),
        open_users.astype(np.int32),
        part[open_users],
        block.only(open_users),
    )
    return Answer(everyone.surplus, decided.value, problem.use(decided.cost, decided.count), band, crowd)


def join(answers: Sequence[Answer]) -> Answer:
    """The answers of several blocks, in order, as one."""
    bands = [one.band for one in answers]
    before = np.cumsum([0, *(len(one.value) for one in answers)])
    band = Band(
        np.concatenate([b.number for b in bands]),
        np.concatenate([b.row for b in bands]),
        np.concatenate([b.part + start for b, start in zip(bands, before, strict=False)]),
        stack([b.block for b in bands]),
    )
    surplus = float(np.sum([one.surplus for one in answers]))
    value, use = np.concatenate([one.value for one in answers]), np.concatenate([one.use for one in answers])
    return Answer(surplus, value, use, band, sum(one.crowd for one in answers))


@dataclass(frozen=True)
class LocalScan:
    """Blocks in this process: paper-sized problems, tests, the genetic design's samples."""

    blocks: tuple[Block, ...]
    parts: int = 1

    @property
    def users(self) -> int:
        """Users in all blocks."""
        return sum(block.users for block in self.blocks)

    def price(self, problem: Problem, questions: Sequence[Question]) -> list[Answer]:
        """One pass over the blocks in memory."""
        return [join([answer(block, problem, question, self.parts) for block in self.blocks]) for question in questions]

    def sample(self, users: int) -> Block:
        """The first users of each block."""
        share = min(1.0, users / max(self.users, 1))
        return stack([head(block, share) for block in self.blocks])


def margin_below(sample: Block, problem: Problem, prices: Floats, users: int, wanted: int) -> float:
    """The margin that about `wanted` of all users lie below, as the sample shows it."""
    if users <= wanted:
        return float("inf")
    return max(float(np.quantile(choose(sample, problem, prices).margin, wanted / users)), 1e-7)


def head(block: Block, share: float) -> Block:
    """The first users of a block, at least a `share` of them."""
    return block.only(slice(0, min(block.users, int(np.ceil(block.users * share)))))


def stack(blocks: Sequence[Block]) -> Block:
    """Blocks side by side as one; all of them know how many offers a user may get, or none does; so with luck."""
    most, luck = [b.most for b in blocks if b.most is not None], [b.luck for b in blocks if b.luck is not None]
    return Block(
        -1,
        np.concatenate([b.value for b in blocks], axis=1),
        np.concatenate([b.cost for b in blocks], axis=1),
        np.concatenate([b.cell for b in blocks]),
        np.concatenate(most) if most else None,
        np.concatenate(luck, axis=1) if luck else None,
    )
