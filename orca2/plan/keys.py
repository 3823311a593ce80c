"""Keys of many questions under one template: what they share is digested once, so that a key costs microseconds.

`orca2 plan` keys every question of a dataset without rendering one. The keys are those of `requests.request_key`; a
test holds the two together, and the first key that a template gives is compared with it each time.
"""

import hashlib
import json
import re
from collections.abc import Callable
from functools import cache

from orca2.core.hashing import SCHEME, canonical
from orca2.core.rows import Example, Message, Sampling
from orca2.recipe.requests import KIND, key_parts, request_key
from orca2.recipe.templates import QUESTION, Templates

Key = Callable[[str, int, int], str]
"""From question, seed and sample index to the key."""
_SEED, _SAMPLE = 2**80 + 12345, 2**81 + 12345
"""Stand for the two numbers; no true one is as large."""
_HOLE = re.compile("({})".format("|".join([re.escape(json.dumps(QUESTION)[1:-1]), str(_SEED), str(_SAMPLE)])))


class Keys:
    """The key of any question under any template, without rendering where that can be done without."""

    def __init__(self, templates: Templates, sampling: Sampling) -> None:
        self._templates, self._sampling = templates, sampling
        self.under = cache(self._under)

    def _under(self, template: str, model: str, task: str, category: str) -> Key:
        """What keys the questions of one task under one template."""
        fast = self._filled(template, model, task, category)

        def slow(question: str, seed: int, sample_index: int) -> str:
            example = _example(task, category, question)
            return request_key(
                model, self._templates.render(template, example).messages, self._sampling, seed, sample_index
            )

        def key(question: str, seed: int, sample_index: int) -> str:
            # Text that `render` would strip is left to it.
            plain = question and not question[0].isspace() and not question[-1].isspace()
            return (fast if fast and plain else slow)(question, seed, sample_index)

        probe = ("A question?", 1, 0)
        return key if fast and fast(*probe) == slow(*probe) else slow

    def _filled(self, template: str, model: str, task: str, category: str) -> Key | None:
        skeleton = self._templates.skeleton(template, task, category)
        return None if skeleton is None else _from_parts(model, skeleton, self._sampling)


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


def _example(task: str, category: str, question: str) -> Example:
    nothing = dict.fromkeys(("row_id", "answer", "grader", "metadata", "source", "licence"), "")
    return Example(**nothing, task=task, category=category, split="train", question=question)
