"""What a grader is.

One of your own is a `Judge` in a module of your own, named as `grader: my_graders:soundex`:

    def soundex(expected: str, given: str, metadata: str) -> bool:
        return code(expected) == code(given)

It is called with whatever a model wrote, up to `longest` characters, and must give True or False for all of it: what it
raises stops the stage. It may be a `Grader` instead, where free text states an answer otherwise than in its last words,
or an answer has several lines.
"""

from collections.abc import Callable
from dataclasses import dataclass

from orca2.recipe.graders.extraction import last_words

Judge = Callable[[str, str, str], bool]
"""Whether an answer is right: called with the known answer, the given one, and the question's metadata as JSON."""


@dataclass(frozen=True, kw_only=True)
class Grader:
    """How the answers of a task are judged."""

    judge: Judge
    find: Callable[[str], str | None] = last_words
    """The part of a free text that it can judge, the last one where several stand; None where none does."""
    read: Callable[[str], str | None] | None = None
    """The part that counts of what is stated as the answer, as in `The answer is 5 apples`; None: what `find` gives."""
    takes_lines: bool = False
    """Whether an answer may have several lines even where the known one has a single line."""
    longest: int = 2_000
    """Characters of an answer; a longer one is wrong, unless the known answer is longer still."""
