"""What of worked turns may not stand in an answer: a worked answer whole, and parts that speak of its own question.

Worked turns are there to be imitated, so the form of a worked answer may be given again. What may not is what is
particular to one: a word of its question that no other worked question has, and that the asked one does not have
either. Such a word is a number or a name, and beside other worked turns any word of four letters or more.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from orca2.recipe.erasure.words import SHINGLE_WORDS, WORD, Run, joined, plain, runs, tokens, weigh

_PART = 6
"""Words of the shortest part of a worked turn."""
_NAMED_RUN = 4
"""Words of the shortest part with a name in it."""
_NEAR = 8
"""Words between a name and another telling word of its turn, at most."""
_SHORT = 3
"""Words of the shortest turn that counts when it is copied whole."""
_SENTENCE = re.compile(r"[.!?\n]+")
_AT_FIRST = re.compile(r"^[^\W\d_]+")
_AFTER_ANOTHER = re.compile(r"(?<=[\s,(\"'])[^\W\d_]+")


class Pair(NamedTuple):
    """A worked question and its answer."""

    question: str
    answer: str


class Worked:
    """The worked turns of a request."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        questions = [tokens(plain(pair.question)) for pair in pairs]
        answers = [tokens(plain(pair.answer)) for pair in pairs]
        self.answers = [joined(words) for words in answers if weigh(words) >= SHINGLE_WORDS * WORD]
        """Those that count when they are copied whole, whatever is in them."""
        self.names: dict[str, set[str]] = {}
        """Of the pairs, each with the telling words of its pair, numbers left out."""
        self._parts: dict[Run, frozenset[str]] = {}
        self._short: list[tuple[str, frozenset[str]]] = []
        asked = Counter(word for words in questions for word in set(words))
        mentioned = Counter(word for both in zip(questions, answers, strict=True) for word in {*both[0], *both[1]})
        for pair, question, answer in zip(pairs, questions, answers, strict=True):
            own = {word for word in question if asked[word] == 1}
            named = {name for name in _names(pair, len(pairs) > 1) if mentioned[name] == 1}
            particular = named | {word for word in own if _is_telling(word, len(pairs) > 1)}
            self._add((run for words in (question, answer) for run in runs(words, _PART)), particular)
            self._add((run for words in (question, answer) for run in runs(words, _NAMED_RUN)), named)
            self.names |= {name: {word for word in particular if word.isalpha()} - {name} for name in named}
            for words in (question, answer):
                if _SHORT * WORD <= weigh(words) < SHINGLE_WORDS * WORD and (held := particular.intersection(words)):
                    self._short.append((joined(words), frozenset(held)))

    def copied(self, words: Sequence[str], haystack: str, asked: Callable[[], set[str]]) -> str:
        """What an answer copies of these turns, or nothing.

        Args:
            words: of the answer.
            haystack: its words, `joined`.
            asked: gives the words of what the student is shown.
        """
        candidates = runs(words, _PART) if self._parts else []
        named = []
        if any(name in haystack for name in self.names):
            named = [(at, name) for at, word in enumerate(words) if (name := word.partition("'")[0]) in self.names]
            candidates += runs(words, _NAMED_RUN)
        found = [(run, self._parts[run]) for run in candidates if run in self._parts]
        short = [(turn, held) for turn, held in self._short if turn in haystack]
        shown = asked() if found or short or named else set()
        for run, held in found:
            if held - shown:
                return " ".join(run)
        for turn, held in short:
            telling = held - shown
            if len(telling) > 1 or telling.intersection(self.names):
                return turn.strip()
        for at, name in named:
            near = words[max(0, at - _NEAR) : at + _NEAR + 1]
            if name not in shown and (beside := self.names[name].intersection(near) - shown):
                return f"{name}, {min(beside)}"
        return ""

    def _add(self, parts: Iterable[Run], words: set[str]) -> None:
        for run in parts:
            if held := words.intersection(run):
                self._parts[run] = self._parts.get(run, frozenset()) | held


def _names(pair: Pair, beside_others: bool) -> set[str]:
    """The words that are written large within a sentence; beside others also those that begin question and answer."""
    parts = [[part.strip() for part in _SENTENCE.split(text)] for text in pair]
    inside = {word for texts in parts for part in texts for word in _AFTER_ANOTHER.findall(part)}
    first, last = ({word for part in texts for word in _AT_FIRST.findall(part)} for texts in parts)
    begin = {word for word in first & last if len(word) > 3 and beside_others}
    return {plain(word) for word in inside | begin if word[0].isupper() and len(word) > 1}


def _is_telling(word: str, beside_others: bool) -> bool:
    """Whether a word of one worked question alone tells of it."""
    return any(map(str.isdigit, word)) or (beside_others and (len(word) > 3 or not word.isascii()))
