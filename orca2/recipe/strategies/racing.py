"""A probe that asks less: strategies race, and the worst of each round is asked no more.

Successive rejects (Audibert, Bubeck and Munos, 2010). All that still run are asked the same questions, in an order
drawn by the seed, so they are compared in pairs; after each round the one with the fewest right answers is out, the
dearer where two are level. The last one left is chosen. How many questions a round has follows from the budget alone.

`resume` keeps no state: it plays the race from its start with the outcomes that there are and says what to ask next. So
a race goes on where it was cut off, and a plan can play it with stored answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orca2.core.hashing import digest


class Ask(NamedTuple):
    """One strategy on one question."""

    strategy: str
    row_id: str


class Outcome(NamedTuple):
    """What came of it; an answer that did not come is wrong and costs nothing."""

    right: bool
    tokens: int
    """Of the prompt and the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a race stands."""

    running: tuple[str, ...]
    """Strategies that are still asked, by name; one when it is over."""
    wanted: tuple[Ask, ...]
    """What must be asked before the next one is out; nothing when it is over."""


def rounds(strategies: int, questions: int, share: float) -> list[int]:
    """Of each round the number of questions that those who run have been asked by its end.

    Args:
        strategies: how many start; each round but the last takes one of them into the next.
        questions: how many there are.
        share: of the questions times the strategies, the part that may be asked at most, but for one question a round.
    """
    spent, harmonic = share * strategies * questions - strategies, 0.5 + sum(1 / i for i in range(2, strategies + 1))
    asked = [int(spent / harmonic / (strategies + 1 - k)) + 1 for k in range(1, strategies)]
    return [min(questions, max(1, number)) for number in asked] or [1]


def generations(strategies: int, questions: int, share: float) -> int:
    """How many answers a whole race needs."""
    by_round = rounds(strategies, questions, share)
    return sum(by_round) + by_round[-1] if strategies > 1 else by_round[0]


def resume(
    strategies: Sequence[str], row_ids: Sequence[str], share: float, seed: int, outcomes: Mapping[Ask, Outcome]
) -> Standing:
    """How the race of one task stands after these outcomes, and what it wants to know."""
    running = sorted(strategies)
    order = sorted(row_ids, key=lambda row_id: digest("race", [seed, row_id]))
    for number in rounds(len(strategies), len(row_ids), share):
        wanted = tuple(ask for row in order[:number] for name in running if (ask := Ask(name, row)) not in outcomes)
        if wanted:
            return Standing(running=tuple(running), wanted=wanted)
        if len(running) > 1:
            running.remove(_worst(running, order[:number], outcomes))
    return Standing(running=tuple(running), wanted=())


def _worst(running: Sequence[str], row_ids: Sequence[str], outcomes: Mapping[Ask, Outcome]) -> str:
    def order(strategy: str) -> tuple[int, int, str]:
        found = [outcomes[Ask(strategy, row_id)] for row_id in row_ids]
        return sum(o.right for o in found), -sum(o.tokens for o in found), strategy

    return min(running, key=order)
