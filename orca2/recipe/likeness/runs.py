"""Runs of neighbouring words as 64-bit numbers, a stretch of texts at a time: what passes over a million texts compare.

A number stands for a run; equal runs have equal numbers, and who needs to be sure compares the words themselves.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_STRETCH_CHARACTERS = 1 << 23
"""About how much text is held as numbers at once."""
_MULTIPLIER = 0x9E3779B97F4A7C15
_BITS = 64


class Runs(NamedTuple):
    """Runs of a stretch of texts."""

    first_text: int
    numbers: NDArray[np.uint64]
    """Of each run, text by text: uint64[m]."""
    ends: NDArray[np.int64]
    """Where the runs of each text end, after a leading 0: int64[texts + 1]."""

    @property
    def texts(self) -> NDArray[np.int64]:
        """The text of each run: int64[m]."""
        return np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends)) + self.first_text

    def only(self, kept: NDArray[np.bool_]) -> "Runs":
        """Some of them."""
        return Runs(self.first_text, self.numbers[kept], np.concatenate(([0], np.cumsum(kept)))[self.ends])


def runs(texts: Sequence[str], length: int, *, beyond: bool = False) -> Iterator[Runs]:
    """The runs of `length` words of texts whose words stand between single blanks.

    Args:
        texts: as `wording` gives them.
        length: of a run, in words.
        beyond: whether runs reach beyond both ends of a text, so that every word stands in as many.
    """
    for first, stretch in _stretches(texts):
        words, ends = _words(stretch)
        if beyond:
            words, ends = _padded(words, ends, length - 1)
        numbers = _hashed(words, length)
        counts = np.maximum(np.diff(ends) - length + 1, 0)
        starts = np.repeat(ends[:-1], counts) + _counted(counts)
        yield Runs(first, numbers[starts], np.concatenate(([0], np.cumsum(counts))))


def _stretches(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    first = size = 0
    for number, text in enumerate(texts):
        size += len(text)
        if size >= _STRETCH_CHARACTERS:
            yield first, texts[first : number + 1]
            first, size = number + 1, 0
    if first < len(texts):
        yield first, texts[first:]


def _words(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A number for each word, and where the words of each text end, after a leading 0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    split = pc.split_pattern(pa.array(texts, pa.large_string()), " ")
    found = split.flatten().dictionary_encode()
    numbers = np.fromiter(map(number_of, found.dictionary.to_pylist()), np.uint64, len(found.dictionary))
    lengths = pc.list_value_length(split).to_numpy(zero_copy_only=False)
    return numbers[found.indices.to_numpy()], np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


@lru_cache(maxsize=1 << 18)
def number_of(word: str) -> int:
    """The number that stands for a word."""
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _padded(
    words: NDArray[np.uint64], ends: NDArray[np.int64], more: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Each text with so many words of number 0 before and behind it."""
    counts = np.diff(ends)
    wider = ends + 2 * more * np.arange(len(ends))
    padded = np.zeros(wider[-1], np.uint64)
    padded[np.repeat(wider[:-1] + more, counts) + _counted(counts)] = words
    return padded, wider


def numbers_of(found: Sequence[tuple[str, ...]]) -> NDArray[np.uint64]:
    """The numbers of runs of one length; an empty word is none, beyond an end."""
    if not found:
        return np.zeros(0, np.uint64)
    words = np.array([[number_of(word) if word else 0 for word in run] for run in found], np.uint64)
    return _hashed(words.ravel(), words.shape[1])[:: words.shape[1]]


def _hashed(words: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """The number of the run that begins at each word, but for the last ones: uint64[words - length + 1]."""
    count = max(len(words) - length + 1, 0)
    total = np.zeros(count, np.uint64)
    for number in range(length):
        # Modulo 2**64: the order of words counts, as each has a factor of its own.
        factor = np.uint64(pow(_MULTIPLIER, number, 1 << _BITS))
        total += words[number : number + count] * factor
    total ^= total >> np.uint64(29)
    return total * np.uint64(_MULTIPLIER)


def _counted(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, ... for each count: int64[sum]."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
