"""A probe that asks a third: strategies race, and the worst of each round is asked no more.

Successive rejects (Audibert, Bubeck and Munos, 2010). All that still run are asked the same questions, in an order
drawn by the seed, so they are compared in pairs; after each round the one with the fewest right answers is out, the
dearer where two are level. The last two have been asked the same, and the rule of the full grid chooses between them.
How many questions a round has follows from their number alone.

`resume` keeps no state: it plays the race from its start with the outcomes that there are and says what to ask next. So
a race goes on where it was cut off, and a plan plays it with stored answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from orca2.core.hashing import digest

SHARE = 0.35
"""Of the full grid's answers, the part that a race may ask for; but for one question a round."""


class Ask(NamedTuple):
    """One strategy on one question."""

    strategy: str
    row_id: str


class Outcome(NamedTuple):
    """What came of it; an answer that did not come is wrong and costs nothing."""

    right: int
    """How many of those who judge were right; one at most where one does."""
    tokens: int
    """Of the prompt and the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a race stands."""

    running: tuple[str, ...]
    """Strategies that are still asked, by name; when it is over, the last two."""
    asked: tuple[Ask, ...]
    """All of it so far, this round's included, each once."""
    wanted: tuple[Ask, ...]
    """Those of this round that have no outcome; none when the race is over."""
    later: int
    """How many more the rounds after this one ask; which ones, its outcomes decide."""


def rounds(strategies: int, questions: int) -> list[int]:
    """Of each round the number of questions that those who run have been asked by its end.

    Args:
        strategies: how many start; each round but the last loses one of them.
        questions: how many there are.
    """
    if strategies == 1:
        return [max(1, int(SHARE * questions))]
    spent, harmonic = SHARE * strategies * questions - strategies, 0.5 + sum(1 / i for i in range(2, strategies + 1))
    asked = [int(spent / harmonic / (strategies + 1 - k)) + 1 for k in range(1, strategies)]
    return [min(questions, max(1, number)) for number in asked]


def generations(strategies: int, questions: int) -> int:
    """How many answers a whole race needs."""
    by_round = rounds(strategies, questions)
    return sum(by_round) + (by_round[-1] if strategies > 1 else 0)


def resume(strategies: Sequence[str], row_ids: Sequence[str], seed: int, outcomes: Mapping[Ask, Outcome]) -> Standing:
    """How the race of one task stands after these outcomes, and what it wants to know."""
    running = sorted(strategies)
    order = sorted(row_ids, key=lambda row_id: digest("race", [seed, row_id]))
    asked: dict[Ask, None] = {}
    wanted: tuple[Ask, ...] = ()
    for before, number in pairwise([0, *rounds(len(strategies), len(row_ids))]):
        if before:
            running.remove(_worst(running, order[:before], outcomes))
        asked |= dict.fromkeys(Ask(name, row_id) for row_id in order[:number] for name in running)
        wanted = tuple(ask for ask in asked if ask not in outcomes)
        if wanted:
            break
    later = generations(len(strategies), len(row_ids)) - len(asked)
    return Standing(running=tuple(running), asked=tuple(asked), wanted=wanted, later=later)


def _worst(running: Sequence[str], row_ids: Sequence[str], outcomes: Mapping[Ask, Outcome]) -> str:
    def badness(strategy: str) -> tuple[int, int, str]:
        found = [outcomes[Ask(strategy, row_id)] for row_id in row_ids]
        return -sum(o.right for o in found), sum(o.tokens for o in found), strategy

    return max(running, key=badness)
