"""Near duplicates: texts that share nearly all runs of three words and differ in at most two words.

MinHash (of `rensa`) proposes pairs, and each is then judged on its words, so that no chance of a hash leaves a question
out. Numbers and operators must be the same, in their order: `3 apples` and `4 apples` are two questions. What many
texts of a task share, such as an instruction, does not make them alike.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orca2.recipe.likeness.runs import number_of, numbers_of, runs
from orca2.recipe.likeness.wording import facts_of

LIKENESS = 0.75
"""Least share of runs of three words that two near duplicates have in common, of those that either has. One word apart
reaches it from 19 words on: in a short question, each word makes another."""
MOST_WORDS_APART = 2
COMMON = 10
"""Most of a hundred questions of a task that may share a run for it to tell two of them apart."""
_SAMPLE = 100
_RUN_WORDS = 3
_PERMUTATIONS, _BANDS = 64, 16
"""Of 1,000 pairs with a likeness of 0.75, 998 have a band of four hashes in common."""
_MOST_UNDERRATED = 0.12
"""How far the share of equal hashes may lie below a likeness: it is within 0.05 of it in two cases of three."""
_SEED = 1
_BEHIND = 4
"""How many rows before it, with the same band, a row is compared with."""
_PAIRS_AT_ONCE = 1 << 18
_Run = tuple[str, ...]


class Pair(NamedTuple):
    """A text that is a near duplicate of one that comes first."""

    row: int
    first: int
    share: float
    """Of their runs that they have in common."""


def near_pairs(
    wordings: Sequence[str], tasks: Sequence[str], ranks: Sequence[int], may_go: Callable[[int, int], bool]
) -> list[Pair]:
    """The texts that are near duplicates of one that is none itself.

    Args:
        wordings: what each says, all different.
        tasks: of each.
        ranks: how early each comes; one of rank 0 is a near duplicate of none.
        may_go: whether the second of two rows may be taken for a near duplicate of the first.
    """
    common = common_runs(wordings, tasks)
    order = np.lexsort((np.arange(len(ranks)), np.asarray(ranks)))
    leader: dict[int, int] = {}
    pairs = []
    for row, earlier in _candidates(wordings, tasks, common, order):
        firsts = dict.fromkeys(leader.get(other, other) for other in earlier)
        for first in firsts if ranks[row] else ():
            if not may_go(first, row):
                continue
            if share := likeness(wordings[first], wordings[row], common[tasks[first]] | common[tasks[row]]):
                leader[row] = first
                pairs.append(Pair(row, first, share))
                break
    return pairs


def common_runs(wordings: Sequence[str], tasks: Sequence[str]) -> dict[str, frozenset[_Run]]:
    """By task the runs that its questions share, such as those of an instruction, found in a sample of them."""
    of_task: dict[str, list[int]] = {}
    for row, task in enumerate(tasks):
        of_task.setdefault(task, []).append(row)
    return {
        task: _shared([wordings[row] for row in rows[:: -(-len(rows) // _SAMPLE)]]) for task, rows in of_task.items()
    }


def _shared(wordings: Sequence[str]) -> frozenset[_Run]:
    counts = Counter(run for text in wordings for run in _runs(text.split(" ")))
    return frozenset(run for run, count in counts.items() if count > COMMON)


def likeness(one: str, other: str, common: frozenset[_Run] = frozenset()) -> float:
    """The share of runs that two wordings have in common, among all and among those that are not `common`.

    It is the smaller of the two, and 0 where they are no near duplicates.
    """
    first, second = _parsed(one), _parsed(other)
    share = min(_share(first.runs, second.runs), _share(first.runs - common, second.runs - common))
    if share < LIKENESS or first.facts != second.facts:
        return 0.0
    apart = max((first.words - second.words).total(), (second.words - first.words).total())
    return share if apart <= MOST_WORDS_APART else 0.0


def _share(one: frozenset[_Run], other: frozenset[_Run]) -> float:
    shared = len(one & other)
    return shared / max(1, len(one) + len(other) - shared)


class _Parsed(NamedTuple):
    words: Counter[str]
    runs: frozenset[_Run]
    facts: tuple[str, ...]


@lru_cache(maxsize=1 << 14)
def _parsed(wording: str) -> _Parsed:
    words = wording.split(" ")
    return _Parsed(Counter(words), _runs(words), facts_of(words))


def _runs(words: list[str]) -> frozenset[_Run]:
    edge = [""] * (_RUN_WORDS - 1)
    padded = [*edge, *words, *edge]
    return frozenset(zip(padded, padded[1:], padded[2:], strict=False))


def _candidates(
    wordings: Sequence[str], tasks: Sequence[str], common: Mapping[str, frozenset[_Run]], order: NDArray[np.int64]
) -> Iterator[tuple[int, list[int]]]:
    """Each row that may be a near duplicate, in order, with those before it that it may be one of."""
    parts = [np.zeros((0, _PERMUTATIONS), np.uint32), *_signatures(wordings, tasks, common)]
    signatures = np.concatenate(parts)[order]
    crowded = np.flatnonzero(_crowded(signatures))
    order, signatures = order[crowded], signatures[crowded]
    facts = np.fromiter(
        (number_of(" ".join(facts_of(wordings[row].split(" ")))) for row in order), np.uint64, len(order)
    )
    found = np.concatenate([_alike(_neighbours(keys ^ facts), signatures) for keys in _bands(signatures)])
    later, earlier = np.divmod(np.unique(found), max(len(order), 1))
    starts = np.flatnonzero(np.diff(later, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(later)][: len(starts)], strict=True):
        yield int(order[later[start]]), order[earlier[start:end]].tolist()


def _alike(pairs: NDArray[np.int64], signatures: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Those of the pairs, `n * later + earlier`, that share enough of their hashes."""
    kept = [np.zeros(0, np.int64)]
    for part in np.array_split(pairs, len(pairs) // _PAIRS_AT_ONCE + 1):
        later, earlier = np.divmod(part, max(len(signatures), 1))
        shares = np.mean(signatures[later] == signatures[earlier], axis=1)
        kept.append(part[shares > LIKENESS - _MOST_UNDERRATED])
    return np.concatenate(kept)


def _signatures(
    wordings: Sequence[str], tasks: Sequence[str], common: Mapping[str, frozenset[_Run]]
) -> Iterator[NDArray[np.uint32]]:
    """The MinHash of each text without what is common in its task, stretch by stretch: uint32[texts, permutations]."""
    from rensa import RMinHash

    marks = {task: np.uint64(number_of(task)) for task in common}
    of_text = np.fromiter((marks[task] for task in tasks), np.uint64, len(tasks))
    known = np.concatenate([np.zeros(0, np.uint64), *(numbers_of([*common[task]]) ^ marks[task] for task in common)])
    for found in runs(wordings, _RUN_WORDS, beyond=True):
        rare = found.only(~np.isin(found.numbers ^ of_text[found.texts], known))
        digests = RMinHash.digest_matrix_from_flat_token_hashes(rare.numbers, rare.ends, _PERMUTATIONS, _SEED)
        yield np.array(digests.to_rows(), np.uint32)


def _bands(signatures: NDArray[np.uint32]) -> Iterator[NDArray[np.uint64]]:
    """A number for the hashes of each band: uint64[n], band by band."""
    for band in np.split(signatures, _BANDS, axis=1):
        low, high = np.ascontiguousarray(band).view(np.uint64).T
        yield (low ^ (low >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15) + high


def _crowded(signatures: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Whether a row shares a band with another."""
    crowded = np.zeros(len(signatures), np.bool_)
    for keys in _bands(signatures):
        by_key = np.argsort(keys)
        same = keys[by_key[1:]] == keys[by_key[:-1]]
        crowded[by_key[1:][same]] = crowded[by_key[:-1][same]] = True
    return crowded


def _neighbours(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs of rows with equal keys, `n * later + earlier`, each row with up to `_BEHIND` before it."""
    by_key = np.argsort(keys, kind="stable")
    pairs = []
    for shift in range(1, min(_BEHIND, max(len(keys) - 1, 0)) + 1):
        same = keys[by_key[shift:]] == keys[by_key[:-shift]]
        pairs.append(by_key[shift:][same] * len(keys) + by_key[:-shift][same])
    return np.concatenate([*pairs, np.zeros(0, np.int64)])
