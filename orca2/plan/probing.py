"""The probe as it will be asked: a race is played with stored answers as far as they go, and both ways are priced."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from orca2.core.rows import Graded, Request
from orca2.engines.runs import generations
from orca2.plan.asking import Asker, Asking, Price
from orca2.plan.judging import StoredVerdicts, together
from orca2.plan.questions import Collected, Written
from orca2.project.artifacts import PROBE_REQUESTS, STUDENT_PROBE_REQUESTS
from orca2.recipe.graders.judged import ORDERS, is_judged
from orca2.recipe.grading import grade
from orca2.recipe.requests import Asks, ProbeConfig, probing
from orca2.recipe.strategies import Choice, racing, select, shared
from orca2.recipe.strategies.asking import Probe
from orca2.recipe.templates import Templates
from orca2.store.store import Store


@dataclass(kw_only=True)
class Probing:
    """Plans the probe."""

    config: ProbeConfig
    models: Mapping[str, str]
    """Digest of each model that judges, by its role."""
    seed: int
    questions: Written | Collected
    templates: Templates
    store: Store
    verdicts: StoredVerdicts | None
    """Where a model judges the answers to any question."""

    def asking(self, asker: Asker, notes: Mapping[str, Sequence[str]]) -> Asking:
        """What the stage asks; of a race the first round that is not stored, and at most what follows.

        Args:
            asker: of the whole plan.
            notes: by role, what had to be assumed.
        """
        only, later = (self._played.asked, self._played.later()) if self.config.race else (None, {})
        artifacts = (PROBE_REQUESTS, STUDENT_PROBE_REQUESTS)
        askings = [
            asker.ask(asks, artifact, notes[role], only, later.get(role, 0))
            for (role, asks), artifact in zip(self._grid.items(), artifacts, strict=False)
        ]
        asking = together(askings)
        asking = self._priced(asking) if asking.wanted else asking
        if not self.verdicts:
            return asking
        judged = {example.row_id for example in self.questions.examples("probe") if is_judged(example.grader)}
        answers = sum(wanted.row_id in judged for wanted in asking.wanted) + asking.later
        requests = [request for role, of in self._played.requests().items() for request in self._judged(role, of)[1]]
        return together([asking, self.verdicts.asking(requests, len(ORDERS) * answers)])

    def choices(self) -> list[Choice] | None:
        """What will be chosen; None where that depends on answers that are not stored."""
        if self._played.wanted():
            return None
        first, *others = self._played.graded().values()
        asked = next(iter(self._played.requests().values())) if self.config.race else None
        return select(first, self._groups, asked, *others)

    def _priced(self, asking: Asking) -> Asking:
        """With what the other way would cost, where it differs: the full grid for a race, or the other way round."""
        mine = len(asking.wanted) + asking.later
        if self.config.race:
            way, number = "the full grid", sum(len(self.store.missing(of)) for of in self._requests.values())
        else:
            sizes = Counter(self._groups.get(e.task, e.task) for e in self.questions.examples("probe"))
            whole = sum(racing.generations(len(self.config.strategies), size) for size in sizes.values())
            way, number = "a race", min(whole * len(self.models), mine)
        if number == mine:
            return asking
        tokens, most = (round(of * number / mine) for of in (asking.new_tokens, asking.most_new_tokens))
        return replace(asking, instead=Price(way, number, tokens, most))

    @cached_property
    def _groups(self) -> dict[str, str]:
        return shared(self.questions.examples("probe"), self.config.choose_per)

    @cached_property
    def _grid(self) -> dict[str, Asks]:
        return {role: probing(self.templates, self.config, model, self.seed) for role, model in self.models.items()}

    @cached_property
    def _requests(self) -> dict[str, list[Request]]:
        examples = self.questions.examples("probe")
        return {role: asks.requests(examples, self.templates) for role, asks in self._grid.items()}

    @cached_property
    def _played(self) -> Probe:
        """The probe with all the answers that are stored; what it still wants must be generated."""
        probe = Probe(self._requests, self._groups, race=self.config.race, seed=self.seed)
        for role, of in self._requests.items():
            probe.add(role, self._judged(role, of)[0])
        return probe

    def _judged(self, role: str, requests: Sequence[Request]) -> tuple[list[Graded], list[Request]]:
        """The stored answers to these whose verdict is known, and what a model is asked to judge them all."""
        examples, answers = self.questions.examples("probe"), generations(requests, self.store.find(requests))
        return self.verdicts.known(examples, answers, role) if self.verdicts else (grade(examples, answers), [])
