"""What one stage asks of models: how much is stored, what is missing, and why. One partition is held at a time."""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from orca2.diff.causes import Cause
from orca2.plan.causes import NEVER_BUILT, Causes
from orca2.plan.earlier import Earlier, shards
from orca2.plan.estimate import Typical
from orca2.plan.made import Made, Maker
from orca2.plan.questions import Collected, Written
from orca2.project.artifacts import Artifact
from orca2.recipe.requests import Asks
from orca2.recipe.strategies.racing import Ask
from orca2.recipe.templates import Templates
from orca2.store.segments import key_words
from orca2.store.store import Store


class Wanted(NamedTuple):
    """A request that an engine must answer."""

    key: str
    row_id: str
    sample_index: int
    task: str
    strategy: str
    cause: Cause


class Price(NamedTuple):
    """What another way to ask would cost."""

    way: str
    requests: int
    """At most, that an engine must answer."""
    new_tokens: int
    """About."""
    most_new_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What one stage asks of models."""

    requests: int
    """All, each as often as it is asked."""
    cached: int
    """Distinct requests that the store answers."""
    wanted: tuple[Wanted, ...]
    """Distinct requests that an engine must answer."""
    dropped: Counter[tuple[Cause, str]]
    """Requests of the artifact as it lies there that are not asked any more, by cause and task."""
    assumed: tuple[str, ...]
    prompt_tokens: int
    """About; from the same task and strategy in earlier runs, else from the length of the text."""
    new_tokens: int
    """About; from the same task and strategy in earlier runs, else the limit."""
    most_new_tokens: int
    """What the limits allow."""
    seconds: tuple[float, float] | None
    """By the fastest and the slowest of earlier runs of these models; None without such runs."""
    same: bool
    """Whether the very requests of last time are asked."""
    later: int = 0
    """Further requests at most, which follow from the answers to these; they are part of the tokens and the time."""
    instead: Price | None = None
    """Of the other way to probe."""

    @property
    def causes(self) -> Counter[tuple[Cause, str]]:
        """How many requests each cause sends to an engine, by task."""
        return Counter((wanted.cause, wanted.task) for wanted in self.wanted)


@dataclass(kw_only=True)
class Asker:
    """Works out what stages ask, one after the other."""

    templates: Templates
    store: Store
    questions: Written | Collected
    causes: Causes
    seconds: Callable[[Mapping[str, float]], tuple[float, float] | None]
    """Shortest and longest time for so many new tokens of each model."""
    planned: set[tuple[str, int]] = field(default_factory=set)
    """Key and limit of what the stages so far will have answered."""

    def ask(
        self,
        asks: Asks,
        artifact: Artifact[object],
        assumed: Sequence[str],
        only: Container[Ask] | None = None,
        later: int = 0,
    ) -> Asking:
        """What a stage asks whose requests the artifact holds.

        Args:
            asks: all that it may ask.
            artifact: what it asked last time.
            assumed: what had to be assumed.
            only: what it asks of that before anything else is known; None is all.
            later: how many it asks after these at most.
        """
        sums = _Sums(complete=not later)
        maker = Maker(asks, self.templates)
        count, files = self._partitions(artifact)
        for index in range(count):
            questions = self.questions.of(asks.split, index, count)
            earlier = Earlier(files[index::count], by_strategy="strategy" in artifact.identity)
            made = [m for m in maker.requests(questions) if only is None or Ask(m.strategy, m.row_id) in only]
            self._one(made, earlier, (index, count), artifact, sums, bool(files))
        distinct = sums.distinct()
        sums.follow(later)
        return Asking(
            requests=sums.requests,
            cached=distinct - len(sums.wanted),
            wanted=tuple(sums.wanted),
            dropped=sums.dropped,
            assumed=tuple(assumed),
            prompt_tokens=round(sums.prompt_tokens),
            new_tokens=round(sum(sums.new_tokens.values())),
            most_new_tokens=(len(sums.wanted) + later) * asks.sampling.max_tokens,
            seconds=self.seconds(sums.new_tokens),
            same=sums.same and bool(files),
            later=later,
        )

    def _partitions(self, artifact: Artifact[object]) -> tuple[int, Sequence[Path]]:
        """Into how many partitions questions and earlier requests are cut together; and the shards of the latter.

        Both numbers are powers of two, so that shard i of the larger one lies in partition i modulo the smaller.
        """
        files = shards(artifact.path)
        numbers = [len(found) for found in (self.questions.shards, files) if found]
        return min(numbers, default=1), files

    def _one(
        self,
        made: list[Made],
        earlier: Earlier,
        partition: tuple[int, int],
        artifact: Artifact[object],
        sums: "_Sums",
        built: bool,
    ) -> None:
        missing = self._missing(made)
        sums.count(made)
        keys = {m.key for m in made}
        if built and keys == set(earlier.keys) and not missing and len(made) == len(earlier.keys):
            return
        sums.same = False
        asked = {earlier.identity(m.row_id, m.sample_index, m.strategy) for m in made} if built else set()
        gone = [row for identity, row in earlier.at.items() if identity not in asked] if built and sums.complete else []
        told: tuple[list[Cause], list[Cause]] = ([NEVER_BUILT] * len(missing), [])
        if built and (missing or gone):
            sides = self.questions.sides(*partition)
            now = frozenset(m.row_id for m in made)
            told = self.causes.of(missing, gone, now, earlier, sides, artifact.asked)
        sums.wanted += [
            Wanted(m.key, m.row_id, m.sample_index, m.task, m.strategy, cause)
            for m, cause in zip(missing, told[0], strict=True)
        ]
        for m in missing:
            prompt, new = self._typical.of(m.task, m.strategy, self._length(m), m.sampling.max_tokens)
            sums.prompt_tokens += prompt
            sums.new_tokens[m.model] = sums.new_tokens.get(m.model, 0.0) + new
        tasks = [record["task"] for record in earlier.records(gone)] if gone else []
        sums.dropped.update(zip(told[1], tasks, strict=True))

    def _missing(self, made: list[Made]) -> list[Made]:
        """The distinct ones that neither the store nor a stage before this one will have answered."""
        limits = [m.sampling.max_tokens for m in made]
        lacking = np.flatnonzero(self.store.lookup([m.key for m in made], limits) < 0)
        found = []
        for m in (made[i] for i in lacking):
            if (m.key, m.sampling.max_tokens) not in self.planned:
                self.planned.add((m.key, m.sampling.max_tokens))
                found.append(m)
        return found

    def _length(self, made: Made) -> int:
        """Characters of the conversation."""
        around = self._around(made.template, made.task, made.category)
        return around + len(made.question)

    def _around(self, template: str, task: str, category: str) -> int:
        if (template, task, category) not in self._lengths:
            turns = self.templates.skeleton(template, task, category) or ()
            self._lengths[template, task, category] = sum(len(turn.content) for turn in turns)
        return self._lengths[template, task, category]

    _lengths: dict[tuple[str, str, str], int] = field(default_factory=dict)

    @cached_property
    def _typical(self) -> Typical:
        return Typical()


@dataclass
class _Sums:
    """What the partitions of one stage come to."""

    complete: bool
    """Whether all that will be asked is known; else nothing is known to be dropped."""
    requests: int = 0
    wanted: list[Wanted] = field(default_factory=list)
    dropped: Counter[tuple[Cause, str]] = field(default_factory=Counter)
    prompt_tokens: float = 0.0
    new_tokens: dict[str, float] = field(default_factory=dict)
    """By model."""
    same: bool = True
    _words: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    """16 bytes of each key: enough to tell any two apart, an eighth of the text."""

    def count(self, made: list[Made]) -> None:
        self.requests += len(made)
        self._words.append(np.ascontiguousarray(key_words([m.key for m in made])[:, :2]))

    def follow(self, later: int) -> None:
        """Add the tokens of so many requests that are like those that are wanted."""
        more = 1 + later / len(self.wanted) if self.wanted else 1
        self.prompt_tokens *= more
        self.new_tokens = {model: tokens * more for model, tokens in self.new_tokens.items()}

    def distinct(self) -> int:
        """How many different keys there were."""
        words = np.concatenate(self._words) if self._words else np.empty((0, 2), np.uint64)
        return len(np.unique(words.view("V16")))
