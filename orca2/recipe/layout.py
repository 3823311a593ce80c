"""Which conversations are laid into one training sequence, by their lengths alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Layout(NamedTuple):
    """Which conversations each sequence is made of."""

    order: NDArray[np.int64]
    """int64[n]: the conversations, sequence after sequence."""
    starts: NDArray[np.int64]
    """int64[sequences + 1]: where in `order` each sequence begins, and the end."""


def best_fit(lengths: NDArray[np.int_], capacity: int) -> Layout:
    """Lay lengths, int[n], into bins of at most `capacity`, by best fit decreasing; equal lengths keep their order.

    Each length goes into the bin that it leaves least room in, the earliest of equals, or else into a new one. All of
    one length are laid at once: a bin with room for several takes so many, since none has less room after the first.
    """
    lengths = np.asarray(lengths, np.int64)
    if len(lengths) and not (lengths.min() > 0 and lengths.max() <= capacity):
        raise ValueError(f"every length must be between 1 and {capacity}")
    order = np.argsort(-lengths, kind="stable")
    bin_of = np.empty(len(lengths), np.int64)
    bins, free = 0, dict[int, NDArray[np.int64]]()  # by room: the bins that have it, in order
    ends = np.append(np.flatnonzero(np.diff(lengths[order])) + 1, len(order))
    start = 0
    for end in ends.tolist() if len(order) else ():
        length = int(lengths[order[start]])
        for room in sorted(room for room in free if room >= length):
            if start == end:
                break
            start = _lay(free, room, free.pop(room), length, bin_of[start:end]) + start
        if start < end:
            new = np.arange(bins, bins - (start - end) // (capacity // length))
            bins += len(new)
            _lay(free, capacity, new, length, bin_of[start:end])
        start = end
    laid = np.argsort(bin_of, kind="stable")
    return Layout(order[laid], np.searchsorted(bin_of[laid], np.arange(bins + 1)))


def _lay(
    free: dict[int, NDArray[np.int64]], room: int, bins: NDArray[np.int64], length: int, bin_of: NDArray[np.int64]
) -> int:
    """Fill these bins of one room in turn with one length; the number that found room."""
    each = room // length
    laid = min(len(bin_of), each * len(bins))
    bin_of[:laid] = np.repeat(bins, each)[:laid]
    full, rest = divmod(laid, each)
    for chosen, left in ((bins[:full], room - each * length), (bins[full : full + bool(rest)], room - rest * length)):
        if left and len(chosen):
            free[left] = np.sort(np.append(free[left], chosen)) if left in free else chosen
    if len(bins) > full + bool(rest):
        free[room] = bins[full + bool(rest) :]
    return laid
