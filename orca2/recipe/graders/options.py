r"""The option that a text names: its label, what stands behind it, and whether the text leaves open which it is.

A label is a letter or a small number that is no word of a sentence: `(B)`, `B.`, `Option B`, `I pick B`, `\text{(B)}`.
"""

import re
from typing import NamedTuple

from orca2.recipe.graders.extraction import normal
from orca2.recipe.graders.wrappers import peel

VERDICTS = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
_LEAD = re.compile(
    r"(?:(?:so|thus|hence|therefore)\b,?\s+|i\s+(?:think|believe|choose|chose|pick|select"
    r"|would\s+(?:say|pick|choose|go\s+with)|say|guess)\s+(?:that\s+)?(?:it\s+is\s+|it's\s+)?"
    r"|it\s+is\s+|it's\s+|must\s+be\s+|(?:option|choice|letter|answer)\s+)+",
    re.IGNORECASE,
)
_IN_MATHS = re.compile(r"\$?\\(?:text|textbf|mathrm|mathbf|boxed)\s*\{\s*(\(?[A-Za-z]\)?)\s*\}\$?|\$(\(?[A-Z]\)?)\$")
_LABEL = re.compile(
    r"[(\[{<*_`\"'“‘ ]*([A-Za-z]|\d{1,2})(?:[)\]}>*_`\"'”’]+|[.:)](?!\d)|(?![\w.,/-]|')|(?=[.,](?!\d)))"
)
_MARKED = re.compile(r"[(\[{<*_`\"'“‘ ]*(?:[A-Za-z]|\d{1,2})(?:[)\]}*_]*[)\]}.:]|[*_]+|\s+[-–—](?=\s))")
_BEHIND = re.compile(r"[)\]}>*_`\"'”’]*\s*(?:[-–—](?=\s)|[:.)*_]+)?\s*")
_ARTICLE = re.compile(r"\s+(?!(?:because|is|since|as|for|due|was|would|and|or|with|by|seems|fits|best)\b)[a-z]")
_PRONOUN = re.compile(r"\s+(?!(?:because|is|since|as|for|due|and|or|by|seems|fits|best)\b)[a-z']|'")
_AND = r"\s*(?:[,;/&]\s*(?:(?:or|and)\b\s*)?|(?:or|and)\b\s*)"
_NEXT = re.compile(rf"(?:{_AND}|\s*(?=\())(?:\(([A-Za-z])\)|([A-Z])(?=\s*(?:$|[.,;:)/&]|or\b|and\b)))")
_OR_ANOTHER = re.compile(r"\b(?:or|and)\s+(?:option\s+)?(?:\([A-Z]\)|[A-Z](?=\s*(?:$|[.,;:)])))")
_OR_ANOTHER_MARKED = re.compile(r"\b(?:or|and)\s+(?:option\s+)?(?:\([A-Z]\)|[A-Z][.):]\s+\S)")
_REMARK = re.compile(
    r"[,;]?\s+(?:and\s+not|not|rather\s+than|instead\s+of|because|since|as)\b.*", re.IGNORECASE | re.DOTALL
)
_CORRECT = re.compile(
    r"(?<!\bif )(?<!\bIf )(?<!\band )\b([A-Z])\b[)*.]{0,3}\s+(?:is|must\s+be)\s+(?:the\s+)?(?:correct|right|best)\b"
)
_AND_BEFORE = re.compile(r"\b[A-Z]\b\)?\s*(?:/|&|\band\b|\bor\b)\s*\(?$")
_LONGEST = 1_000
"""Characters at the beginning of a text in which it may name an option."""
_EITHER = re.compile(r"(?:both|either|neither|not|none|all|any)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"[A-Z](?:\s*(?:,|;|/|&|\band\b|,\s*and\b)?\s*[A-Z])+")
_LETTERS = re.compile(r"[A-Z]")
_FIRST_WORD = re.compile(r"\W*?(-?\d+(?:[.,/:-]\d+)*|\w\w+)")
_RULED_OUT = r"(?:(?:is|are|was)\s+(?:not|wrong|incorrect|out|false)|cannot|can't|isn't)\b"
_NAMED = re.compile(
    r"(?<!not )(?<!out )(?<!than )(?<!nor )(?<!not \()(?<!out \()(?<!than \()(?<!nor \()"
    r"(?:(?-i:\(([A-Z])\)|\b([A-Z])\b(?=[.):*]|\s*$))"
    r"|\b([A-Z])\b(?=\s+(?:is|was|must\s+be)\s+(?:the\s+)?(?:correct|right|best|answer|true))"
    r"|(?:option|choice|pick|choose|select|go\s+with|opt\s+for|answer)\s+\**(?-i:([A-Z]))\b"
    r"|\b(yes|true|false|no(?=\W*$|[.,;:!*]|\s+(?:because|since)\b))\b)"
    rf"(?!\s+{_RULED_OUT})",
    re.IGNORECASE | re.MULTILINE,
)


class Named(NamedTuple):
    """The option that a text begins with."""

    label: str
    text: str
    """What stands behind the label."""
    is_open: bool
    """Whether the text names another one beside it, as in `A or B`."""


def option_in(text: str) -> Named | None:
    """The option that a text begins with; None where it begins with none."""
    text = text[:_LONGEST]
    rest = _without_lead(text)
    found = _LABEL.match(rest)
    if not found or _EITHER.match(rest):
        return None
    letter, behind = found[1], rest[found.end(1) :]
    if (letter in "Aa" and _ARTICLE.match(behind)) or (letter in "Ii" and _PRONOUN.match(behind)):
        return None
    return Named(letter, _BEHIND.sub("", behind, count=1).strip(), is_open(text))


def is_open(text: str) -> bool:
    """Whether a text names another option beside the first, as in `A or B`."""
    rest = _REMARK.sub("", _without_lead(text[:_LONGEST]), count=1)
    if (found := _LABEL.match(rest)) and (after := _NEXT.match(rest, found.end())):
        return (after[1] or after[2]).casefold() != found[1].casefold()
    if _MARKED.match(rest):
        return _OR_ANOTHER_MARKED.search(rest) is not None
    named = set(re.findall(r"\w+", normal(text[:_LONGEST]))) - {"or", "and"}
    only_names = all(name in VERDICTS or (len(name) == 1 and name.isalpha()) for name in named)
    return (len(named) > 1 and only_names) or _OR_ANOTHER.search(rest) is not None


def labels_in(text: str) -> frozenset[str]:
    """The letters of a text that is nothing but several of them, in the order of the alphabet: `ABD`, `A, B and D`."""
    plain = text.strip().rstrip(".").replace("(", "").replace(")", " ").strip()
    letters = _LETTERS.findall(plain) if _SEVERAL.fullmatch(plain) else []
    return frozenset(letters if letters == sorted(set(letters)) and len(letters) <= 8 else ())


def verdict_in(text: str) -> str | None:
    """Whether a text begins with yes or no; None of one that says both, or neither."""
    plain = normal(_without_lead(text))
    found = _FIRST_WORD.match(plain)
    verdict = VERDICTS.get(found[1]) if found else None
    named = set(re.findall(r"\w+", plain)) - {"or", "and"}
    return None if named <= VERDICTS.keys() and len({VERDICTS[name] for name in named}) > 1 else verdict


def first_word(text: str) -> str:
    """The first word or number of a text, and all of it where there is none."""
    plain = normal(text)
    found = _FIRST_WORD.match(plain)
    return found[1] if found else plain


def last_option(text: str) -> str | None:
    """The label that begins the last line, else the one that is said to be correct, else the last that a text names.

    What it rules out it does not name.
    """
    text = _IN_MATHS.sub(r"\1\2", text)
    line = text.rstrip().rsplit("\n", 1)[-1]
    begin = _without_lead(peel(line[:_LONGEST]))
    found = option_in(begin) if _MARKED.match(begin) else None
    if found and not found.is_open and not re.match(_RULED_OUT, found.text):
        return found.label
    correct = {found[1] for found in _CORRECT.finditer(text)}
    if len(correct) == 1:
        return correct.pop()
    options = [*_NAMED.finditer(line)] or [*_NAMED.finditer(text)]
    if not options or _AND_BEFORE.search(options[-1].string[max(0, options[-1].start() - 20) : options[-1].start()]):
        return None
    return next(part for part in options[-1].groups() if part)


def stated_option(text: str) -> str | None:
    """What is stated as the answer: all of a text that begins with an option, else the last one that it names."""
    return text if option_in(text) or verdict_in(text) or _EITHER.match(text) else last_option(text) or text


def _without_lead(text: str) -> str:
    lead = _LEAD.match(text)
    return _IN_MATHS.sub(r"\1\2", text[lead.end() :] if lead else text, count=1)
