"""What a probe asks next: everything at once, or round by round as the race of each task (or category) goes.

Stage and plan play the same `Probe`: the one adds answers as they come, the other those that are stored.
"""

from collections.abc import Iterable, Mapping, Sequence

from orca2.core.rows import Graded, Rejected, Request
from orca2.recipe.strategies.racing import Ask, Outcome, Standing, resume


class Probe:
    """A probe while it is asked.

    Args:
        grid: every request that the full grid makes, by the role of the model that judges; of each role the same.
        groups: task to what it shares its race with; a task that is not named is its own.
        race: whether strategies race.
        seed: of the pipeline; it orders the questions of a race.
    """

    def __init__(
        self, grid: Mapping[str, Sequence[Request]], groups: Mapping[str, str], *, race: bool, seed: int
    ) -> None:
        self._grid, self._race, self._seed = grid, race, seed
        self._found: dict[str, dict[Ask, Graded | None]] = {role: {} for role in grid}
        self._groups: dict[str, list[Ask]] = {}
        for request in next(iter(grid.values())):
            self._groups.setdefault(groups.get(request.task, request.task), []).append(_ask(request))

    def add(self, role: str, graded: Iterable[Graded], failed: Iterable[Rejected] = ()) -> None:
        """What came of requests to one model."""
        self._found[role].update((_ask(row), row) for row in graded)
        self._found[role].update((_ask(row), None) for row in failed)

    @property
    def asked(self) -> set[Ask]:
        """All that is asked up to this round, of every model the same."""
        return {ask for standing in self._standings() for ask in standing.asked}

    def wanted(self) -> dict[str, list[Request]]:
        """By role, the requests of this round that nothing has come of; empty when the probe is over."""
        found = {role: [r for r in rows if _ask(r) not in self._found[role]] for role, rows in self.requests().items()}
        return {role: requests for role, requests in found.items() if requests}

    def later(self) -> dict[str, int]:
        """By role, how many answers later rounds need at most; which ones, those of this round decide."""
        total = dict.fromkeys(self._found, 0)
        for standing, asks in zip(self._standings(), self._groups.values(), strict=True):
            left = {ask for ask in asks if ask.strategy in standing.running} - set(standing.asked)
            for role, found in self._found.items():
                total[role] += min(standing.later, len(left - found.keys()))
        return total

    def requests(self) -> dict[str, list[Request]]:
        """By role, all requests up to this round, in the order of the grid."""
        asked = self.asked
        return {role: [request for request in grid if _ask(request) in asked] for role, grid in self._grid.items()}

    def graded(self) -> dict[str, list[Graded]]:
        """By role, the answers to these."""
        found = {role: [self._found[role].get(_ask(r)) for r in of] for role, of in self.requests().items()}
        return {role: [row for row in rows if row] for role, rows in found.items()}

    def _standings(self) -> list[Standing]:
        if not self._race:
            return [Standing(running=(), asked=tuple(asks), wanted=(), later=0) for asks in self._groups.values()]
        outcomes = self._outcomes()
        return [
            resume(
                list(dict.fromkeys(ask.strategy for ask in asks)),
                list(dict.fromkeys(ask.row_id for ask in asks)),
                self._seed,
                outcomes,
            )
            for asks in self._groups.values()
        ]

    def _outcomes(self) -> dict[Ask, Outcome]:
        """Of what every model was asked; tokens are those of the first."""
        first, *others = self._found.values()
        outcomes = {}
        for ask, row in first.items():
            if all(ask in found for found in others):
                rows = [row, *(found[ask] for found in others)]
                tokens = row.prompt_tokens + row.completion_tokens if row else 0
                outcomes[ask] = Outcome(sum(bool(one and one.strict_correct) for one in rows), tokens)
        return outcomes


def _ask(row: Request | Graded | Rejected) -> Ask:
    return Ask(row.strategy, row.row_id)
