"""Whether a stretch of a text is much like a sentence of an instruction, in whatever order, whatever stands between.

A long part between two commas counts as a sentence too.

Compared are pieces of four letters (of two characters in Chinese and Japanese) without blanks, so that a word that is
changed, broken or spelt otherwise hides nothing. A stretch is half as long again as the sentence. It is like the
sentence when it holds `SHARE` of the sentence's pieces and `MORE` beyond, so of a short sentence nearly all. What the
student is shown as well counts on neither side.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from orca2.recipe.erasure.words import clauses, is_cjk, plain, sentences, tokens

SHARE = 0.25
MORE = {2: 4, 4: 12}
"""By the letters of a piece: twelve pieces are what a common phrase of four words gives."""
_LEAST = {2: 8, 4: 14}
"""Pieces that a sentence must have to be compared at all, by the letters of a piece."""
_LEAST_PART = {2: 10, 4: 24}
"""And those of a part of one."""


Piece = tuple[str, ...]
"""Letters that follow each other."""


class Sentence(NamedTuple):
    """One of an instruction."""

    text: str
    pieces: frozenset[Piece]
    size: int
    """Letters of a piece."""
    stretch: int
    """Letters of the stretches that it is compared with."""


class Sentences:
    """Those of some instructions."""

    def __init__(self, texts: Iterable[str]) -> None:
        said = [sentence for text in texts for sentence in sentences(plain(text))]
        parts = [part for sentence in said for part in clauses(sentence) if part != sentence]
        made = [_sentence(text, _LEAST) for text in said] + [_sentence(text, _LEAST_PART) for text in parts]
        self._all = [sentence for sentence in made if sentence]
        self._sizes = {
            size: frozenset(piece for sentence in self._all if sentence.size == size for piece in sentence.pieces)
            for size in sorted({sentence.size for sentence in self._all})
        }

    def like(self, words: Sequence[str], allowed: Callable[[int], set[Piece]]) -> str:
        """The first sentence that a stretch of a text is like, or nothing.

        Args:
            words: of the text.
            allowed: gives the pieces of so many letters that count on neither side.
        """
        text = "".join(words)
        for size, known in self._sizes.items():
            found = known.intersection(_pieces(text, size))
            for sentence in self._all if len(found) >= _needed(_LEAST[size], size) else ():
                if sentence.size == size and len(sentence.pieces & found) >= _needed(_LEAST[size], size):
                    own = sentence.pieces - allowed(size)
                    if len(own) >= _LEAST[size] and _holds(text, own, size, sentence.stretch):
                        return sentence.text
        return ""


def pieces_of(texts: Iterable[str], size: int) -> set[Piece]:
    """All pieces of so many letters of some texts."""
    return {piece for text in texts for piece in _pieces("".join(tokens(plain(text))), size)}


def _sentence(said: str, least: Mapping[int, int]) -> Sentence | None:
    text = "".join(tokens(said))
    size = 2 if is_cjk(text) else 4
    pieces = frozenset(_pieces(text, size))
    return Sentence(said.strip(), pieces, size, len(text) * 3 // 2) if len(pieces) >= least[size] else None


def _needed(pieces: int, size: int) -> float:
    return SHARE * pieces + MORE[size]


def _holds(text: str, own: frozenset[Piece], size: int, stretch: int) -> bool:
    """Whether enough of these pieces stand in one stretch of a text."""
    needed = _needed(len(own), size)
    if len(own.intersection(_pieces(text, size))) < needed:
        return False
    mine = [(at, piece) for at, piece in enumerate(_pieces(text, size)) if piece in own]
    held: Counter[Piece] = Counter()
    first = 0
    for at, piece in mine:
        held[piece] += 1
        while mine[first][0] <= at - stretch:
            gone = mine[first][1]
            held[gone] -= 1
            if not held[gone]:
                del held[gone]
            first += 1
        if len(held) >= needed:
            return True
    return False


def _pieces(text: str, size: int) -> Iterator[Piece]:
    return zip(*(text[i:] for i in range(size)), strict=False)
