"""What a question says, whatever its spelling: the words that tell two questions apart, and nothing else.

Case, blanks, forms of Unicode, quotation marks, punctuation between words and a label such as `Question:` make no other
question. Numbers, operators and brackets do: `2.5` is not `25`, `x<3` not `x>3`, `5!` not `5`. Where a mark could mean
something it stays: to take one question for two costs less than to lose one.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_SPELT_ALIKE = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb`", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | {"\u2044": "/"}
)
_LABEL = re.compile(r"[\s*#>_]*(?:question|problem|exercise|q)\s*(?:no\.?\s*)?\d*\s*[*_]*\s*[:.)][*_]*\s+(?=\S)", re.I)
_INVITATION = re.compile(r"[\s*#]+(?:answer|a)\s*:[\s*]*$", re.I)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_]{2})'(?=[^\W\d_])|(?<=[^\W\d_])'(?=[^\W\d_]{2})|(?<=\b[iI])'(?=[mMdD]\b)")
_DASH = re.compile(r"(?<=[^\W\d_]{2})\s*-+\s*(?=[^\W\d_]{2})")
"""Between two words, where it is no minus."""
_RATIO = re.compile(r"(?<=\d)\s*:\s*(?=\d)")
_RAISED = re.compile(r"[\u00b2\u00b3\u00b9\u2070-\u207f]+")
_LOWERED = re.compile(r"[\u2080-\u208e]+")
_FRACTION = re.compile(r"(?=[\u00bc-\u00be\u2150-\u215f\u2189])")
_AT_THE_END = '.,;:?"'
"""Marks that mean nothing behind a word."""
_NO_OPERATORS = frozenset("()[]{}_#")
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
"""Characters of scripts without blanks between words: each is a word."""
_WORD = re.compile(
    r"[^\W_]+(?:(?<=\d)[.,:](?=\w)[^\W_]+)*"  # 2.5, 1,000, 12:30
    r"|(?<!\w)\.\d[^\W_]*"  # .5
    r"|(?<=[\d)])!+|(?<=\b[^\W\d_])!+"  # 5!, n!
    r"|(?<=\b[^\W\d_])'+(?![^\W_])"  # f'
    r"|_+"
    r"|[^\w\s.,;:?!'\"\u00bf\u00a1\u00b7\u3001\u3002\u300c-\u300f\u061f\u060c\u061b\u0964]"
)


def words(text: str) -> list[str]:
    """The words, numbers and operators of a text, case-folded, in order."""
    return _words(_plain(text).casefold())


def facts_of(words: Sequence[str]) -> tuple[str, ...]:
    """The numbers and operators among words: what makes two questions of like words."""
    return tuple(word for word in words if not word.isalpha() and word not in _NO_OPERATORS)


class Masked(NamedTuple):
    """A text without what makes two of one template different, its words in any order."""

    names: str
    """Each word that begins with a capital is a name."""
    names_and_numbers: str


def masked(text: str) -> Masked:
    """The words of a text but for names, and but for names and numbers."""
    known = ["name" if word[0].isupper() else word.casefold() for word in _words(_plain(text))]
    without = ["0" if not word.isalpha() and any(map(str.isdigit, word)) else word for word in known]
    return Masked(" ".join(sorted(known)), " ".join(sorted(without)))


def _words(plain: str) -> list[str]:
    found: list[str] = []
    for part in plain.split():
        bare = part.rstrip(_AT_THE_END)
        # Nearly every part is a word and nothing else, which the pattern would say at ten times the cost.
        if bare.isalnum():
            found.append(bare)
        else:
            found += _WORD.findall(part)
    return found


def wording(text: str) -> str:
    """A text as all its spellings have it; one that says nothing, such as `?`, is as it stands."""
    return " ".join(words(text)) or text.strip()


def _plain(text: str) -> str:
    """The text without its label, marks that are spelt in several ways spelt in one."""
    text = text if text.isascii() else _composed(text)
    labelled = _LABEL.match(text)
    text = text[labelled.end() :] if labelled else text
    if text.rstrip("* \n").endswith(":"):
        text = _INVITATION.sub("", text)
    if "'" in text:
        text = _APOSTROPHE.sub("", text)
    if ":" in text:
        text = _RATIO.sub(":", text)
    return _DASH.sub(" ", text) if "-" in text else text


def _composed(text: str) -> str:
    # Unicode's own compatibility form takes `2³` for `23`, and `1½` for `11/2`.
    text = _LOWERED.sub(lambda found: f"_{found[0]} ", _RAISED.sub(lambda found: f"^{found[0]} ", text))
    text = unicodedata.normalize("NFKC", _FRACTION.sub(" ", text)).translate(_SPELT_ALIKE)
    # Characters of no width, such as a soft hyphen, are of the category Cf.
    return _UNSPACED.sub(r" \1 ", "".join(c for c in text if unicodedata.category(c) != "Cf"))
