"""Requests of many questions at once: what the questions of a task share is rendered and digested once.

`render_prompts` makes a table of requests without an object a row, and `orca2 plan` keys every question of a dataset
without rendering one. `Rendered` is one template for many questions. All are those of `requests.Asks.requests`: tests
hold the two together, and the first key that a template gives is compared with `requests.request_key` each time.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from orca2.core.hashing import SCHEME, canonical
from orca2.core.rows import Example, Message, Request, Role, Sampling
from orca2.core.tables import arrow_schema
from orca2.recipe.requests import KIND, Asks, Form, key_parts, own_seed, request_key
from orca2.recipe.templates import QUESTION, Templates
from orca2.recipe.turns import Conversations

if TYPE_CHECKING:
    import pyarrow as pa

Key = Callable[[str, int, int], str]
"""From question, seed and sample index to the key."""
_SEED, _SAMPLE = 2**80 + 12345, 2**81 + 12345
"""Stand for the two numbers; no true one is as large."""
_HOLE = re.compile("({})".format("|".join([re.escape(json.dumps(QUESTION)[1:-1]), str(_SEED), str(_SAMPLE)])))
COLUMNS = ("row_id", "task", "category", "split", "question")
"""What of an example decides its requests."""


class Keys:
    """The key of any question under any template, without rendering where that can be done without."""

    def __init__(self, templates: Templates, sampling: Sampling) -> None:
        self._templates, self.sampling = templates, sampling
        self.under = cache(self._under)
        self.filled = cache(self._filled)

    def _under(self, template: str, model: str, task: str, category: str) -> Key:
        """What keys the questions of one task under one template."""
        fast = self.filled(template, model, task, category)

        def slow(question: str, seed: int, sample_index: int) -> str:
            messages = self._templates.render(template, _example("", task, category, question)).messages
            return request_key(model, messages, self.sampling, seed, sample_index)

        def key(question: str, seed: int, sample_index: int) -> str:
            return (fast if fast and is_plain(question) else slow)(question, seed, sample_index)

        return key if fast else slow

    def _filled(self, template: str, model: str, task: str, category: str) -> Key | None:
        """What keys those of them that `is_plain`; None where the template does more with a question than print it."""
        skeleton = self._templates.skeleton(template, task, category)
        if skeleton is None:
            return None
        fast = _from_parts(model, skeleton, self.sampling)
        said = self._templates.render(template, _example("", task, category, "A question?")).messages
        return fast if fast("A question?", 1, 0) == request_key(model, said, self.sampling, 1, 0) else None


def is_plain(question: str) -> bool:
    """Whether rendering leaves the question as it is: text that it would strip does not."""
    return bool(question) and not question[0].isspace() and not question[-1].isspace()


def request_table(asks: Asks, examples: "pa.Table", templates: Templates) -> "pa.Table":
    """The requests of `asks` as a table of `Request`, from a table with the columns `COLUMNS`.

    Raises:
        Orca2Error: a template fails on a question.
    """
    import pyarrow.compute as pc

    mine = examples.filter(pc.equal(examples["split"], asks.split)) if len(examples) else examples
    columns = (mine[name].to_pylist() for name in COLUMNS if name != "split")
    keys = Keys(templates, asks.sampling)
    known: dict[tuple[str, str], list[_Way]] = {}
    made = _Requests()
    for row_id, task, category, question in zip(*columns, strict=True):
        ways = known.get((task, category))
        if ways is None:
            ways = [_Way(form, templates, keys, task, category) for form in asks.forms(task, category)]
            known[task, category] = ways
        for way in ways:
            made.add(way, asks, row_id, question)
    return made.table(asks)


class Rendered:
    """What a template says about the questions of one task."""

    def __init__(self, templates: Templates, template: str, task: str, category: str) -> None:
        self._templates, self._of = templates, (template, task, category)
        skeleton = templates.skeleton(template, task, category) or ()
        self._roles, self._contents = [m.role for m in skeleton], [m.content for m in skeleton]
        self._holes = [turn for turn, content in enumerate(self._contents) if QUESTION in content]

    def turns(self, row_id: str, question: str) -> tuple[Sequence[str], Sequence[str]]:
        """Roles and contents of the conversation about one question.

        Raises:
            Orca2Error: the template fails on it.
        """
        if self._roles and question.strip():
            contents = self._contents.copy()
            for turn in self._holes:
                contents[turn] = contents[turn].replace(QUESTION, question).strip()
            return self._roles, contents
        template, task, category = self._of
        messages = self._templates.render(template, _example(row_id, task, category, question)).messages
        return [m.role for m in messages], [m.content for m in messages]


class _Way:
    """One form for the questions of one task."""

    def __init__(self, form: Form, templates: Templates, keys: Keys, task: str, category: str) -> None:
        self.form, self.task = form, task
        self._sampling, self._key = keys.sampling, keys.filled(form.template, form.model, task, category)
        self.turns = Rendered(templates, form.template, task, category).turns

    def key(self, question: str, seed: int, sample_index: int, turns: tuple[Sequence[str], Sequence[str]]) -> str:
        """The key of what was rendered."""
        if self._key and is_plain(question):
            return self._key(question, seed, sample_index)
        messages = tuple(Message(role=cast(Role, r), content=content) for r, content in zip(*turns, strict=True))
        return request_key(self.form.model, messages, self._sampling, seed, sample_index)


class _Requests:
    """Requests on their way into a table, column by column."""

    def __init__(self) -> None:
        self._turns = Conversations(arrow_schema(Request).field("messages").type)
        self._keys: list[str] = []
        self._about: list[tuple[str, int, int]] = []
        """Row id, sample index and seed."""
        self._ways: list[_Way] = []

    def add(self, way: _Way, asks: Asks, row_id: str, question: str) -> None:
        """All samples of one form of a question."""
        turns = way.turns(row_id, question)
        for n in range(asks.samples):
            seed = own_seed(asks.seed, row_id, n)
            self._turns.add(*turns)
            self._keys.append(way.key(question, seed, n, turns))
            self._about.append((row_id, n, seed))
            self._ways.append(way)

    def table(self, asks: Asks) -> "pa.Table":
        """What was added."""
        import pyarrow as pa

        schema = arrow_schema(Request)
        row_ids, numbers, seeds = zip(*self._about, strict=True) if self._about else ((), (), ())
        columns = {
            "key": self._keys,
            "row_id": row_ids,
            "sample_index": numbers,
            "task": [way.task for way in self._ways],
            "strategy": [way.form.strategy for way in self._ways],
            "template": [way.form.template for way in self._ways],
            "model": [way.form.model for way in self._ways],
            "seed": seeds,
        }
        arrays: dict[str, Any] = {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
        arrays["messages"] = self._turns.column()
        same = pa.array([asdict(asks.sampling)], schema.field("sampling").type)
        arrays["sampling"] = same.take(pa.array([0] * len(self._keys), pa.int32()))
        return pa.table([arrays[name] for name in schema.names], schema=schema)


def _from_parts(model: str, skeleton: tuple[Message, ...], sampling: Sampling) -> Key:
    text = canonical([SCHEME, KIND, key_parts(model, skeleton, sampling, _SEED, _SAMPLE)])
    first, *rest = _HOLE.split(text)
    begun = hashlib.sha256(first.encode("utf-8", "surrogatepass"))
    holes, between = rest[::2], rest[1::2]
    numbers = {str(_SEED): 1, str(_SAMPLE): 2}
    order = [numbers.get(hole, 0) for hole in holes]

    def key(question: str, seed: int, sample_index: int) -> str:
        values = (canonical(question)[1:-1], str(seed), str(sample_index))
        state = begun.copy()
        filled = "".join(values[hole] + text for hole, text in zip(order, between, strict=True))
        state.update(filled.encode("utf-8", "surrogatepass"))
        return state.hexdigest()

    return key


def _example(row_id: str, task: str, category: str, question: str) -> Example:
    nothing = dict.fromkeys(("answer", "grader", "metadata", "source", "licence"), "")
    return Example(**nothing, row_id=row_id, task=task, category=category, split="train", question=question)
