"""Text as the audit reads it: in one spelling, as words, and as runs of words.

Chinese, Japanese, Thai, Lao, Khmer and Burmese put no blanks between words, so each of their characters is a token. A
run is as long as eight words: a Chinese or Japanese character counts as two thirds of a word, one of the others as a
third.
"""

import re
import unicodedata
from collections.abc import Sequence

Run = tuple[str, ...]
WORD = 6
"""Weight of a word; a run weighs as much as its tokens."""
SHINGLE_WORDS = 8
"""Shortest run of equal words that counts as a quotation of the instruction."""
_CJK = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_THAI = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ecd\u1000-\u103f\u1050-\u109f\u1780-\u17d3"
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
"""Signs that belong to a word and are no letters to `re`."""
_LETTER = rf"(?:[^\W_{_CJK}{_THAI}]|[{_MARKS}])"
_TOKEN = re.compile(rf"[{_CJK}{_THAI}]|{_LETTER}+(?:'{_LETTER}+)*")
_ASCII_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_LONE = re.compile(f"[{_CJK}{_THAI}]")
_CJK_ONE = re.compile(f"[{_CJK}]")
_BETWEEN = re.compile(rf"(?:(?![{_CJK}{_THAI}{_MARKS}])[\W_])+")
_SENTENCE = re.compile(r"[.!?;:\n\u3002\uff01\uff1f\uff1b\uff1a\u0964\u061f]+")
_COMMA = re.compile("[,\u060c\u3001\uff0c]+")
_UNSEEN = re.compile("[\u00ad\u0591-\u05c7\u0640\u064b-\u065f\u0670\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Signs that nobody sees, and those of Hebrew and Arabic that may be written or not."""
_MIXED = re.compile("[^\\W\\d_]+")
_LOOKALIKES = str.maketrans("авсеһіјкмнорԛѕтухԝаα\u03bdορκτι", "abcehijkmhopqstyxwaavopkti")
"""Cyrillic and Greek letters that look like Latin ones, within a word that has Latin letters too."""


def plain(text: str) -> str:
    """A text in one spelling: case, compatible forms, letters that look alike, and signs that nobody sees."""
    if text.isascii():
        return text.lower()
    same = (
        _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()
    )
    return _MIXED.sub(_in_one_script, same) if re.search("[a-z]", same) and re.search("[\u0370-\u052f]", same) else same


def tokens(said: str) -> list[str]:
    """The words of a text that is `plain`, in order."""
    return (_ASCII_TOKEN if said.isascii() else _TOKEN).findall(said)


def runs(words: Sequence[str], length: int = SHINGLE_WORDS) -> list[Run]:
    """From each word on, the shortest run that is as long as so many words; with too few left there is none."""
    text = "".join(words)
    if text.isascii() or not _LONE.search(text):
        return list(zip(*(words[i:] for i in range(length)), strict=False))
    found, end, weight, least = list[Run](), 0, 0, length * WORD
    weights = [_weight(word) for word in words]
    for start in range(len(words)):
        while weight < least and end < len(words):
            weight += weights[end]
            end += 1
        if weight < least:
            break
        found.append(tuple(words[start:end]))
        weight -= weights[start]
    return found


def weigh(words: Sequence[str]) -> int:
    """How long some words are."""
    return sum(map(_weight, words))


def joined(words: Sequence[str]) -> str:
    """Words as one text in which others are searched for: whole words only."""
    return f" {' '.join(words)} "


def spoken(said: str) -> str:
    """A text that is `plain`, its words as they stand and a blank for whatever is between two."""
    return _BETWEEN.sub(" ", said)


def sentences(text: str) -> list[str]:
    """The sentences of a text, and the parts before a colon or a semicolon."""
    return [part for part in _SENTENCE.split(text) if part.strip()]


def clauses(said: str) -> list[str]:
    """The parts of a sentence between its commas."""
    return [part for part in _COMMA.split(said) if part.strip()]


def is_cjk(said: str) -> bool:
    """Whether most of a text is Chinese or Japanese."""
    return len(_CJK_ONE.findall(said)) * 2 > len(said)


def _weight(word: str) -> int:
    if len(word) > 1 or word.isascii() or not _LONE.match(word):
        return WORD
    return 4 if _CJK_ONE.match(word) else 2


def _in_one_script(found: re.Match[str]) -> str:
    word = found[0]
    return word.translate(_LOOKALIKES) if re.search("[a-z]", word) else word
