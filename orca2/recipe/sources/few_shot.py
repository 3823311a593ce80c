"""Questions with worked ones before them: three to five others of the same task, each with its known answer.

Who stands before a question follows from seed and content: where a source grows, most keep the ones they have.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from orca2.core.errors import require
from orca2.core.hashing import canonical, derive_seed
from orca2.core.rows import Example
from orca2.recipe.sources.columns import UnreadableError, template
from orca2.recipe.sources.origin import name_of_shot, with_shots
from orca2.recipe.sources.values import Fault

DEFAULT = "{% for shot in shots %}{{ shot.question }}\nAnswer: {{ shot.answer }}\n\n{% endfor %}{{ question }}"
TOO_FEW = "too few others to show before it"


@dataclass(frozen=True, slots=True, kw_only=True)
class FewShot:
    """How many questions stand before one, which, and how."""

    least: int = 3
    most: int = 5
    same: tuple[str, ...] = ()
    """Columns in which they must agree with it beside its task, such as one with the instruction."""
    template: str = DEFAULT
    """Shows the `shots`, each with `question` and `answer`, and then the `question`."""

    def __post_init__(self) -> None:
        problem, read = "", frozenset[str]()
        try:
            read = template(self.template).columns
        except ValueError as error:
            problem = str(error)
        require(
            {
                "least must be 1 or more, and most no less": 1 <= self.least <= self.most,
                f"template: {problem}": not problem,
                "template: must show `shots` and `question`, and knows nothing else": problem != ""
                or read == {"shots", "question"},
            }
        )


class Shot(NamedTuple):
    """A question that is shown before another, with its answer."""

    question: str
    answer: str


Alike = tuple[object, ...]
"""What questions share that may stand before one another."""


class Shots:
    """The questions that may stand before others, each group on a ring of its own.

    Args:
        pool: a question, and what it shares with others.
        config: how many, and how they are shown.
        seed: of params.yaml.
    """

    def __init__(self, pool: Sequence[tuple[Example, Alike]], config: FewShot, seed: int) -> None:
        self._config, self._seed, self._template = config, seed, template(config.template)
        groups: dict[str, dict[str, Shot]] = {}
        for example, alike in pool:
            shot = Shot(example.question, example.answer)
            groups.setdefault(_name(example, alike), {}).setdefault(example.question, shot)
        self._rings = {name: sorted(self._on_ring(group)) for name, group in groups.items()}

    def before(self, example: Example, alike: Alike) -> Example:
        """The question with others before it.

        Raises:
            Fault: its group has too few, or the template fails.
        """
        drawn = derive_seed(self._seed, "number of shots", example.question)
        number = self._config.least + drawn % (self._config.most - self._config.least + 1)
        shots = self._shots(self._rings[_name(example, alike)], example.question, number)
        if len(shots) < self._config.least:
            raise Fault(TOO_FEW, f"{len(shots)} of {self._config.least}")
        try:
            question = self._template.render({}, shots=shots, question=example.question).strip()
        except UnreadableError as error:
            raise Fault("no question", f"its few-shot template fails: {error}") from error
        metadata = with_shots(example.metadata, [name_of_shot(shot.question) for shot in shots])
        return replace(example, question=question, metadata=metadata)

    def _shots(self, ring: Sequence[tuple[int, Shot]], question: str, number: int) -> list[Shot]:
        """So many, from where on the ring the question says."""
        start = bisect_left(ring, derive_seed(self._seed, "shots", question), key=lambda one: one[0])
        around = (ring[(start + step) % len(ring)][1] for step in range(min(len(ring), number + 1)))
        return [shot for shot in around if shot.question != question][:number]

    def _on_ring(self, group: Mapping[str, Shot]) -> Iterator[tuple[int, Shot]]:
        return ((derive_seed(self._seed, "shot", question), shot) for question, shot in group.items())


def _name(example: Example, alike: Alike) -> str:
    return canonical([example.task, *alike])
