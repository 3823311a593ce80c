"""What training holds of the held-out questions: runs of 13 equal words, as for GPT-3.

A text overlaps a question when it holds at least half of the question's runs and all its numbers: without one of those
it is about something else. A run that more than ten texts hold is an instruction that questions share, and counts for
neither. Shorter questions have no run: `near` sees to them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orca2.recipe.likeness.runs import Runs, runs
from orca2.recipe.likeness.wording import facts_of

RUN_WORDS = 13
SHARE = 0.5
"""Least share of a question's runs that a text holds to overlap it."""
COMMON = 10
"""Most texts that may hold a run for it to tell anything."""


class Overlap(NamedTuple):
    """A text that holds much of a held-out question."""

    text: int
    question: int
    """The one of which it holds most, the first of equals."""
    share: float
    """Of the question's runs."""


def overlaps(texts: Sequence[str], questions: Sequence[str]) -> list[Overlap]:
    """The texts that overlap a question, by the number of the text; both as `wording` gives them."""
    own_runs, own_questions = _each_once(runs(questions, RUN_WORDS))
    held_out = np.unique(own_runs)
    found_runs, found_texts = _each_once(part.only(_among(part.numbers, held_out)) for part in runs(texts, RUN_WORDS))
    holders = _count(held_out, own_runs) + _count(held_out, found_runs)
    rare = held_out[holders <= COMMON]
    keep, keep_found = _among(own_runs, rare), _among(found_runs, rare)
    sizes = np.bincount(own_questions[keep], minlength=len(questions))
    pairs = _joined(own_runs[keep], own_questions[keep], found_runs[keep_found], found_texts[keep_found])
    best: dict[int, Overlap] = {}
    for (text, question), shared in zip(*pairs, strict=True):
        share = shared / int(sizes[question])
        if share < SHARE or _lacks_facts(texts[text], questions[question]):
            continue
        if text not in best or share > best[text].share:
            best[text] = Overlap(text, question, share)
    return [best[text] for text in sorted(best)]


def _lacks_facts(text: str, question: str) -> bool:
    facts, wanted = (Counter(facts_of(wording.split(" "))) for wording in (text, question))
    return not facts >= wanted


def _each_once(stretches: Iterator[Runs]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Runs with their texts, one for each text that holds the run: uint64[m], int64[m]."""
    numbers, texts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for stretch in stretches:
        order = np.lexsort((stretch.texts, stretch.numbers))
        number, text = stretch.numbers[order], stretch.texts[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (number[1:] != number[:-1]) | (text[1:] != text[:-1])
        numbers.append(number[first])
        texts.append(text[first])
    return np.concatenate(numbers), np.concatenate(texts)


def _among(numbers: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each number is one of the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(numbers), np.bool_)
    at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    among: NDArray[np.bool_] = known[at] == numbers
    return among


def _count(known: NDArray[np.uint64], numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How often each of the known numbers comes, which are sorted and all there are."""
    return np.bincount(np.searchsorted(known, numbers), minlength=len(known))


def _joined(
    own_runs: NDArray[np.uint64],
    questions: NDArray[np.int64],
    found_runs: NDArray[np.uint64],
    texts: NDArray[np.int64],
) -> tuple[list[tuple[int, int]], list[int]]:
    """Every pair of text and question that share a run, in order, and how many they share."""
    order = np.argsort(own_runs, kind="stable")
    first, last = (np.searchsorted(own_runs[order], found_runs, side=side) for side in ("left", "right"))
    counts = last - first
    at = np.repeat(first, counts) + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    pairs = np.stack([np.repeat(texts, counts), questions[order][at]], axis=1)
    distinct, shared = np.unique(pairs, axis=0, return_counts=True)
    return [(int(text), int(question)) for text, question in distinct], shared.tolist()
