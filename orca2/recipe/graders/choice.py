"""Equal as one of several options.

Where the metadata of a question hold its options (see `known`), a label, a number from 0 and the option's own text name
the same one. Without them, labels are compared, and text as text.
"""

import re
from collections.abc import Sequence

from orca2.recipe.graders.base import Grader
from orca2.recipe.graders.extraction import normal
from orca2.recipe.graders.known import Option, known
from orca2.recipe.graders.options import (
    VERDICTS,
    Named,
    first_word,
    is_open,
    labels_in,
    last_option,
    option_in,
    stated_option,
    verdict_in,
)
from orca2.recipe.graders.wrappers import peel

_NOT = re.compile(r"\b(?:not|never|neither|nor|except|cannot)\b|n't\b", re.IGNORECASE)
_WORDS = re.compile(r"[\w.%$/-]+")
_MORE_OF_A_WORD = re.compile(r"\w|[.,/]\d")
_OR = re.compile(r"\W*\b(?:or|and)\b")
_WORD_OR_WORD = re.compile(r"\W*\w+\s+or\s+\w")


def choice(expected: str, given: str, metadata: str) -> bool:
    """Equal as options: `(B)`, `B.`, `Option B` and `b) 4 apples` agree; `A or B` is neither."""
    options = known(metadata).choices
    if options and (wanted := _resolve_gold(expected, options)):
        return wanted == _resolve(given, options)
    return _agree(peel(expected), peel(given))


def _resolve_gold(gold: str, options: Sequence[Option]) -> frozenset[str]:
    """The labels that the known answer means."""
    found = _resolve(gold, options)
    bare = gold.strip()
    if not found and bare.isascii() and bare.isdigit() and int(bare) < len(options):
        return frozenset({options[int(bare)].label})
    return found


def _resolve(text: str, options: Sequence[Option]) -> frozenset[str]:
    """The labels that a text names; none where it names none, or leaves it open."""
    by_label = {option.label.casefold(): option for option in options}
    plain = peel(text)
    if label := by_label.get(plain.casefold()):
        # Before the texts: options may be letters or numbers themselves, and the known answer is a label.
        return frozenset({label.label})
    by_text: dict[str, set[str]] = {}
    for option in options:
        by_text.setdefault(_bare(option.text), set()).add(option.label)
    if same := by_text.get(_bare(plain)):
        return frozenset(same if len(same) == 1 else ())
    if several := labels_in(plain):
        return frozenset(several if {label.casefold() for label in several} <= by_label.keys() else ())
    named = option_in(plain)
    if named and named.label.casefold() in by_label:
        option = by_label[named.label.casefold()]
        return frozenset({option.label} if _means(named, option, by_text) else ())
    return frozenset() if _NOT.search(plain) else _mentioned(plain, by_text)


def _means(named: Named, option: Option, by_text: dict[str, set[str]]) -> bool:
    """Whether what stands behind a label is the option's own text, or anything but that of another option."""
    behind, own = _bare(named.text), _bare(option.text)
    if own and behind.startswith(own) and not _MORE_OF_A_WORD.match(behind, len(own)):
        return not _OR.match(behind, len(own))
    return not named.is_open and option.label in by_text.get(behind, {option.label})


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
    if len(letters := labels_in(wanted)) > 1:
        return letters == labels_in(given)
    if verdict := VERDICTS.get(normal(wanted)):
        return verdict == verdict_in(given)
    gold, found = option_in(wanted), option_in(given)
    if gold and (len(normal(wanted).strip("()[].")) == 1 or gold.text):
        return found is not None and gold.label.casefold() == found.label.casefold() and not found.is_open
    if " " in normal(wanted):
        return normal(wanted) in (normal(given), normal(found.text) if found else "")
    told = found.text if found and found.text else given
    return first_word(wanted) == first_word(told) and not is_open(given) and not _WORD_OR_WORD.match(told)


def _bare(text: str) -> str:
    return normal(peel(text))


GRADER = Grader(judge=choice, find=last_option, read=stated_option)
