"""What most questions of a task begin or end with: an instruction, which makes no two of them alike.

Where there are many questions, `near` and `overlap` see by themselves which runs of words many share. Of a few, the
instruction may be most of what each says, and one word the rest.
"""

from collections import Counter
from collections.abc import Sequence

from orca2.recipe.likeness.runs import number_of

SEVERAL = 4
"""Different questions of a task that begin or end alike for that to be its instruction, and no likeness of two."""
LEAST_WORDS = 5
"""Of an instruction; a shorter beginning, such as `what is`, is a part of its question."""
FEW = 100
"""Most questions of a task to which this is done: of more, `near` and `overlap` see which runs are common."""


def without_instructions(tasks: Sequence[str], wordings: Sequence[str]) -> list[str]:
    """Each wording (see `wording`) with one word in place of those that most of its task begin or end with.

    That word stands for the very instruction, so under another one the same words are another question. Different
    wordings stay different.
    """
    of_task: dict[str, list[int]] = {}
    for row, task in enumerate(tasks):
        of_task.setdefault(task, []).append(row)
    bare = list(wordings)
    for rows in of_task.values():
        if len(rows) > FEW:
            continue
        words = [text.split(" ") for text in {wordings[row] for row in rows}]
        first, last = _shared(words), _shared([text[::-1] for text in words])[::-1]
        for row in rows:
            bare[row] = _cut(wordings[row], " ".join(first), " ".join(last))
    return bare


def _shared(texts: Sequence[Sequence[str]]) -> list[str]:
    """The words that most texts begin with."""
    least, found = max(SEVERAL, -(-len(texts) // 2)), list[str]()
    while counts := Counter(text[len(found)] for text in texts if len(text) > len(found)):
        word, count = max(counts.items(), key=lambda item: (item[1], item[0]))
        if count < least:
            break
        texts = [text for text in texts if len(text) > len(found) and text[len(found)] == word]
        found.append(word)
    return found if len(found) >= LEAST_WORDS else []


def _cut(wording: str, first: str, last: str) -> str:
    if first and wording.startswith(f"{first} "):
        wording = f"#{number_of(first)}{wording[len(first) :]}"
    if last and wording.endswith(f" {last}"):
        wording = f"{wording[: -len(last)]}#{number_of(last)}"
    return wording
