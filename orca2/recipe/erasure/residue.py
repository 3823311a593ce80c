"""The audit of an answer: what is left in it of an instruction that the student never sees (docs/decisions/0018).

Found are quotations, stretches that are much like a sentence of the instruction, phrases that speak of an instruction,
names of techniques, and what is copied of worked turns. What the question or the student's own instruction says too is
no residue. Every search is linear in the answer.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from orca2.core.rows import Message
from orca2.recipe.erasure.likeness import Sentences, pieces_of
from orca2.recipe.erasure.phrases import meta_phrase, technique_name
from orca2.recipe.erasure.words import SHINGLE_WORDS, WORD, joined, plain, runs, sentences, tokens, weigh
from orca2.recipe.erasure.worked import Pair, Worked

QUOTED = "answer quotes the erased instruction"
LIKE = "answer is close to the erased instruction"
META = "answer speaks of an instruction"
NAMED = "answer names a technique"
WORKED = "answer repeats a worked turn"
KINDS = (QUOTED, LIKE, META, NAMED, WORKED)
"""The reasons for which an answer is rejected."""
_SHORT = 24
"""Weight of the shortest instruction that counts wherever it is quoted whole: four words, six Chinese characters."""
_SENTENCE = (12, 18)
"""Of the shortest whole instruction, and of the shortest sentence of one, that counts as a sentence of the answer."""


class Residue(NamedTuple):
    """What was found first, by kind."""

    kind: str
    words: str


class Told:
    """What the erased turns of a request say; read once for all the requests that share them."""

    def __init__(self, erased: Sequence[Message]) -> None:
        pairs = _pairs(erased)
        worked = {pair.question for pair in pairs}
        self.worked = Worked(pairs)
        instructions = [turn.content for turn in erased if turn.role != "assistant" and turn.content not in worked]
        self.runs = {run: WORKED for question in worked for run in runs(tokens(plain(question)))}
        self.runs |= {run: QUOTED for text in instructions for run in runs(tokens(plain(text)))}
        self.sentences = Sentences(instructions)
        said = [tokens(plain(text)) for text in instructions]
        self.short = [joined(words) for words in said if _SHORT <= weigh(words) < SHINGLE_WORDS * WORD]
        parts = [tokens(plain(part)) for text in instructions for part in sentences(text)]
        self.own_sentences = {joined(words) for words in said if weigh(words) >= _SENTENCE[0]}
        self.own_sentences |= {joined(words) for words in parts if weigh(words) >= _SENTENCE[1]}


told = lru_cache(maxsize=512)(Told)
"""Of a tuple of turns."""


def residue(text: str, erased: Told, allowed: Sequence[str], names: Iterable[str] | None = ()) -> Residue | None:
    """What is left in an answer of what was erased.

    Args:
        text: the answer.
        erased: what the student is not shown of its request.
        allowed: what the student is shown instead; the question is the last.
        names: of techniques; None where the student is shown the instruction, and may speak of it.
    """
    said = plain(text)
    words = tokens(said)
    found = _quotation(text, words, erased, allowed)
    if found or names is None:
        return found
    asked = allowed[-1] if allowed else ""
    if phrase := meta_phrase(said, asked):
        return Residue(META, phrase)
    if name := technique_name(said, words, asked, names):
        return Residue(NAMED, name)
    like = erased.sentences.like(words, lambda size: pieces_of(allowed, size))
    return Residue(LIKE, like) if like else None


def _quotation(text: str, words: list[str], erased: Told, allowed: Sequence[str]) -> Residue | None:
    """Words that stand in the answer as they stand in an erased turn."""
    own = runs(words)
    copied = [run for run in own if run in erased.runs]
    if copied:
        permitted = {run for content in allowed for run in runs(tokens(plain(content)))}
        if run := next((run for run in copied if run not in permitted), None):
            return Residue(erased.runs[run], " ".join(run))
    haystack = joined(words)
    if whole := next((answer for answer in erased.worked.answers if answer in haystack), ""):
        return Residue(WORKED, whole.strip())
    short = [turn for turn in erased.short if turn in haystack]
    if any(sentence in haystack for sentence in erased.own_sentences):
        short += [part for part in _sentences(text) if part in erased.own_sentences]
    if short:
        shown = [joined(tokens(plain(content))) for content in allowed]
        if turn := next((turn for turn in short if not any(turn in content for content in shown)), ""):
            return Residue(QUOTED, turn.strip())
    part = erased.worked.copied(words, haystack, lambda: {w for c in allowed for w in tokens(plain(c))})
    return Residue(WORKED, part) if part else None


def _sentences(text: str) -> list[str]:
    return [joined(tokens(plain(part))) for part in sentences(text)]


def _pairs(turns: Sequence[Message]) -> list[Pair]:
    """Each worked answer with the question before it."""
    before = ["", *(turn.content if turn.role == "user" else "" for turn in turns)]
    return [Pair(before[n], turn.content) for n, turn in enumerate(turns) if turn.role == "assistant"]
