"""Sorted runs in files: written once, mapped when read.

A file is written under a temporary name, synced and renamed, and never changed. It holds, little-endian, one after
another:

    entries     ENTRY, by first word of the key, then by time, then by row
    firsts      uint64 a block of `BLOCK` entries: the first word of its first key
    sums        uint32 a block: CRC-32 of its entries, verified when a lookup first touches the block
    covered     JSON: the segments, by name
    end         number of entries, bytes of JSON, CRC-32 of all between the entries and here, magic
"""

import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from orca2.store import runs, segments
from orca2.store.runs import ENTRY, Covered, Entries, Run, checksum, firsts_of

SUFFIX = ".run"
_MAGIC = b"orca2ix1"
_END = struct.Struct("<QQI4x8s")


def write(folder: Path, covered: Sequence[Covered], parts: Iterable[Entries]) -> Run | None:
    """Write a run from its entries in order, part by part; None when the disk takes none: a cache can be missing.

    Raises:
        SpoiltRunError: from the parts, when they come from a file that has changed.
    """
    file = folder / f"{segments.temporary_name()[1:-4]}{SUFFIX}"
    temporary = folder / segments.temporary_name()
    try:
        folder.mkdir(exist_ok=True)
        try:
            with temporary.open("xb") as sink:
                _write(sink.fileno(), covered, parts)
                os.fsync(sink.fileno())
            temporary.rename(file)
        finally:  # gone already, when all went well
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return read(file)
    except (OSError, ValueError):
        return None


def read(file: Path) -> Run:
    """Map the run in a file; its entries are read when they are looked up.

    Raises:
        ValueError: the file is torn or foreign.
        OSError: it has gone, or cannot be read.
    """
    with file.open("rb") as source:
        descriptor = source.fileno()
        size = os.fstat(descriptor).st_size
        end = os.pread(descriptor, _END.size, max(0, size - _END.size))
        if len(end) < _END.size:
            raise ValueError(f"{file} is torn")
        count, length, checksum, magic = _END.unpack(end)
        blocks, begin = -(-count // runs.BLOCK), count * ENTRY.itemsize
        if magic != _MAGIC or size != begin + 12 * blocks + length + _END.size:
            raise ValueError(f"{file} is torn or foreign")
        about = os.pread(descriptor, 12 * blocks + length, begin)
        if zlib.crc32(about) != checksum:
            raise ValueError(f"{file} is spoilt")
        mapped = mmap.mmap(descriptor, begin, access=mmap.ACCESS_READ) if count else None
    return Run(
        covered=tuple(
            Covered(name, size, mtime_ns, rows, tuple(replaces))
            for name, size, mtime_ns, rows, replaces in json.loads(about[12 * blocks :])
        ),
        entries=np.frombuffer(mapped, ENTRY) if mapped else np.empty(0, ENTRY),
        firsts=np.frombuffer(about, "<u8", blocks),
        sums=np.frombuffer(about, "<u4", blocks, 8 * blocks),
        verified=np.zeros(blocks, np.bool_),
        file=file,
        mapped=mapped,
    )


def _write(descriptor: int, covered: Sequence[Covered], parts: Iterable[Entries]) -> None:
    count, firsts, sums = 0, [np.empty(0, "<u8")], [np.empty(0, "<u4")]
    for blocks in _whole_blocks(parts):
        count += len(blocks)
        firsts.append(firsts_of(blocks))
        sums.append(np.array([checksum(blocks[i : i + runs.BLOCK]) for i in range(0, len(blocks), runs.BLOCK)], "<u4"))
        _write_all(descriptor, blocks.data)
    about = b"".join(
        (np.concatenate(firsts).tobytes(), np.concatenate(sums).tobytes(), json.dumps(list(covered)).encode())
    )
    length = len(about) - 12 * -(-count // runs.BLOCK)
    _write_all(descriptor, about + _END.pack(count, length, zlib.crc32(about), _MAGIC))


def _whole_blocks(parts: Iterable[Entries]) -> Iterator[Entries]:
    """The same entries in parts that end with a block; only the last one may end within."""
    rest = np.empty(0, ENTRY)
    for part in parts:
        together = np.concatenate([rest, part])
        whole = len(together) // runs.BLOCK * runs.BLOCK
        yield together[:whole]
        rest = together[whole:]
    yield rest


def _write_all(descriptor: int, content: bytes | memoryview) -> None:
    left = memoryview(content).cast("B")
    while left:
        left = left[os.write(descriptor, left) :]
