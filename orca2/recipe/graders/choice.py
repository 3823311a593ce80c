"""Equal as one of several options.

Where the metadata of a question hold its options (see `known`), a label, a number from 0 and the option's own text name
the same one. Without them, labels are compared, and text as text.
"""

import re
from collections.abc import Sequence

from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.extraction import normal
from orca2.recipe.graders.known import Option, known
from orca2.recipe.graders.wrappers import peel

_LEAD = re.compile(
    r"(?:i\s+(?:think|believe|choose|chose|pick|select|would\s+(?:say|pick|choose|go\s+with)|say|guess)\s+"
    r"(?:that\s+)?(?:it\s+is\s+|it's\s+)?|it\s+is\s+|it's\s+|must\s+be\s+|(?:option|choice|letter|answer)\s+)+",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"[(\[{<*_`\"'“‘ ]*([A-Za-z]|\d{1,2})(?:[)\]}>*_`\"'”’]+|[.:)](?!\d)|(?![\w.,/-]|')|(?=[.,](?!\d)))"
)
_ARTICLE = re.compile(r"\s+(?!(?:because|is|since|as|for|due|was|would|and|or|with|by|seems|fits|best)\b)[a-z]")
_PRONOUN = re.compile(r"\s+(?!(?:because|is|since|as|for|due|and|or|by|seems|fits|best)\b)[a-z']|'")
_NEXT = re.compile(
    r"\s*(?:,|;|/|&|\bor\b|\band\b)?\s*(?:\bor\b|\band\b)?\s*(?:\(([A-Za-z])\)|([A-Z])(?=\s*(?:$|[.,;:)/&]|or\b|and\b)))"
)
_OR_ANOTHER = re.compile(r"\b(?:or|and|/)\s+(?:option\s+)?(?:\([A-Z]\)|[A-Z](?=\s*(?:$|[.,;:)])))")
_EITHER = re.compile(r"(?:both|either|neither|not|none|all|any)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"[A-Z](?:\s*(?:,|;|/|&|\band\b|,\s*and\b)?\s*[A-Z])+")
_LETTERS = re.compile(r"[A-Z]")
_NOT = re.compile(r"\b(?:not|never|neither|nor|except|cannot)\b|n't\b", re.IGNORECASE)
_VERDICTS = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
_WORDS = re.compile(r"[\w.%$/-]+")
_WORD = re.compile(r"\W*?(-?\d+(?:[.,/:-]\d+)*|\w\w+)")
_NAMED = re.compile(
    r"\(([A-Z])\)|\b([A-Z])\b(?=\s+(?:is|was|must\s+be)\s+(?:the\s+)?(?:correct|right|best|answer|true))"
    r"|(?:option|choice|pick|choose|select|go\s+with|opt\s+for|answer)\s+\**(?-i:([A-Z]))\b"
    r"|\b(yes|no|true|false)\b|\b([A-Z])\b(?=[.):*]|\s*$)",
    re.IGNORECASE | re.MULTILINE,
)


def choice(expected: str, given: str, metadata: str) -> bool:
    """Equal as options: `(B)`, `B.`, `Option B` and `b) 4 apples` agree; `A or B` is neither."""
    options = known(metadata).choices
    if options and (wanted := _resolve_gold(expected, options)):
        return wanted == _resolve(given, options)
    return _agree(peel(expected), peel(given))


def last_option(text: str) -> str | None:
    """The last option that a text names."""
    options = _NAMED.findall(text)
    return next(part for part in options[-1] if part) if options else None


def _read(text: str) -> str | None:
    """What is stated as the answer: the option that it begins with, else the last that it names, else all of it."""
    return text if _label(text) or _verdict(text) or _EITHER.match(text) else last_option(text) or text


def _resolve_gold(gold: str, options: Sequence[Option]) -> frozenset[str]:
    """The labels that the known answer means."""
    found = _resolve(gold, options)
    bare = gold.strip()
    if not found and bare.isascii() and bare.isdigit() and int(bare) < len(options):
        return frozenset({options[int(bare)].label})
    return found


def _resolve(text: str, options: Sequence[Option]) -> frozenset[str]:
    """The labels that a text names; none where it names none, or leaves it open."""
    by_label = {option.label.casefold(): option.label for option in options}
    by_text: dict[str, set[str]] = {}
    for option in options:
        by_text.setdefault(_bare(option.text), set()).add(option.label)
    plain = peel(text)
    if same := by_text.get(_bare(plain)):
        return frozenset(same if len(same) == 1 else ())
    if several := _several(plain):
        return frozenset(several if {label.casefold() for label in several} <= by_label.keys() else ())
    label = _label(plain)
    if label and label.casefold() in by_label and not _hedges(plain):
        named = by_label[label.casefold()]
        other = by_text.get(_bare(_behind_label(plain)), {named})
        return frozenset({named} if named in other else ())
    return frozenset() if label or _NOT.search(plain) else _mentioned(plain, by_text)


def _mentioned(text: str, by_text: dict[str, set[str]]) -> frozenset[str]:
    """The label of the one option whose text stands in a sentence."""
    sentence = _spaced(_bare(text))
    found = {option for option in by_text if option and _spaced(option) in sentence}
    longest = [option for option in found if not any(option != other and option in other for other in found)]
    labels = by_text[longest[0]] if len(longest) == 1 else set()
    return frozenset(labels if len(labels) == 1 else ())


def _spaced(text: str) -> str:
    """A text as words between blanks, so that a whole one can be found."""
    return f" {' '.join(word.rstrip('.') for word in _WORDS.findall(text))} "


def _agree(wanted: str, given: str) -> bool:
    """Whether two texts name one option, whatever the others are."""
    if len(letters := _several(wanted)) > 1:
        return letters == _several(given)
    if verdict := _VERDICTS.get(normal(wanted)):
        return verdict == _verdict(given)
    label = _label(wanted)
    if label and (len(normal(wanted).strip("()[].")) == 1 or _behind_label(wanted)):
        found = _label(given)
        return found is not None and label.casefold() == found.casefold() and not _hedges(given)
    if " " in normal(wanted):
        return normal(wanted) in (normal(given), normal(_behind_label(given)))
    return _word(wanted) == _word(given) and not _hedges(given)


def _label(text: str) -> str | None:
    """The label that a text begins with: a letter or a number that is no word of the sentence behind it."""
    lead = _LEAD.match(text)
    rest = text[lead.end() :] if lead else text
    found = _LABEL.match(rest)
    if not found or _EITHER.match(rest):
        return None
    letter, behind = found[1], rest[found.end(1) :]
    if letter in "Aa" and _ARTICLE.match(behind):
        return None
    return None if letter in "Ii" and _PRONOUN.match(behind) else letter


def _behind_label(text: str) -> str:
    """What follows the label, as the text of the option; empty where there is no label before it."""
    lead = _LEAD.match(text)
    rest = text[lead.end() :] if lead else text
    found = _LABEL.match(rest)
    return rest[found.end() :].lstrip(" :.-)–—").strip() if found and _label(text) else ""


def _hedges(text: str) -> bool:
    """Whether a text names another option beside the first, as in `A or B`."""
    lead = _LEAD.match(text)
    rest = text[lead.end() :] if lead else text
    found = _LABEL.match(rest)
    if found and (after := _NEXT.match(rest, found.end())):
        return (after[1] or after[2]).casefold() != found[1].casefold()
    named = set(re.findall(r"\w+", normal(text))) - {"or", "and"}
    only_names = all(name in _VERDICTS or (len(name) == 1 and name.isalpha()) for name in named)
    return (len(named) > 1 and only_names) or _OR_ANOTHER.search(rest) is not None


def _several(text: str) -> frozenset[str]:
    """The letters of a text that is nothing but several of them, in the order of the alphabet: `ABD`, `A, B and D`."""
    plain = text.strip().rstrip(".").replace("(", "").replace(")", " ").strip()
    letters = _LETTERS.findall(plain) if _SEVERAL.fullmatch(plain) else []
    return frozenset(letters if letters == sorted(set(letters)) and len(letters) <= 8 else ())


def _verdict(text: str) -> str | None:
    """Whether a text begins with yes or no; None of one that says both, or neither."""
    found = _WORD.match(normal(text))
    verdict = _VERDICTS.get(found[1]) if found else None
    named = set(re.findall(r"\w+", normal(text))) - {"or", "and"}
    return None if named <= _VERDICTS.keys() and len({_VERDICTS[name] for name in named}) > 1 else verdict


def _word(text: str) -> str:
    plain = normal(text)
    found = _WORD.match(plain)
    return found[1] if found else plain


def _bare(text: str) -> str:
    return normal(peel(text))


GRADER = Grader(judge=choice, find=last_option, read=_read)
