"""What all questions of a task begin or end with: an instruction, which makes no two of them alike.

Where there are many questions, `near` and `overlap` see by themselves which runs of words many share. Of a few, the
instruction may be most of what each says, and one word the rest.
"""

from collections.abc import Sequence
from itertools import takewhile

SEVERAL = 4
"""Different questions of a task that begin or end alike for that to be its instruction, and no likeness of two."""


def without_instructions(tasks: Sequence[str], wordings: Sequence[str]) -> list[str]:
    """Each wording (see `wording`) without the words that all of its task begin with, and those that all end with.

    At least a word of each stays; different ones stay different.
    """
    of_task: dict[str, list[int]] = {}
    for row, task in enumerate(tasks):
        of_task.setdefault(task, []).append(row)
    bare = list(wordings)
    for rows in of_task.values():
        first, last = _ends([wordings[row] for row in rows])
        for row in rows if first or last else ():
            words = wordings[row].split(" ")
            bare[row] = " ".join(words[first : len(words) - last])
    return bare


def _ends(wordings: Sequence[str]) -> tuple[int, int]:
    """How many words all of them begin with, and end with; none where they are not several."""
    shortest = min(wordings, key=len).split(" ")
    first, last = len(shortest), len(shortest)
    for wording in wordings:
        words = wording.split(" ")
        first, last = _alike(shortest[:first], words), _alike(shortest[::-1][:last], words[::-1])
        if not first and not last:
            return 0, 0
    if len(set(wordings)) < SEVERAL:
        return 0, 0
    first = min(first, len(shortest) - 1)
    return first, min(last, len(shortest) - 1 - first)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
