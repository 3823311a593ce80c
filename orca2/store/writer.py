"""The writer: answers reach the disk as they arrive, a segment at a time."""

import time
import warnings
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.core.rows import Answer
from orca2.store import segments
from orca2.store.merging import merge


class Writer:
    """Buffers answers and publishes them: every `FLUSH_ROWS` rows or `FLUSH_S` seconds, and at the end.

    A long run merges its small segments, `MERGE` at a time. One writer serves a whole run, whoever answers.
    """

    FLUSH_ROWS = 256
    FLUSH_S = 1.0
    MERGE = 64
    SEGMENT_CHARACTERS = 1 << 28
    """Of text: more is published as several segments, so that a column stays far below the 2 GiB that Arrow holds."""

    def __init__(self, root: Path, provenance: str = "") -> None:
        self._root, self._provenance = root, provenance
        self._waiting: list[tuple[Answer, str]] = []
        self._published: list[Path] = []
        self._flushed_at = time.monotonic()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        if self._root.is_dir():
            segments.sync_folder(self._root)

    def add(self, answers: Iterable[Answer], provenance: str | None = None) -> None:
        """Take finished answers of one provenance, the writer's own for None, and flush when it is time.

        Without answers too, so that those that wait need not wait for the next one.
        """
        provenance = self._provenance if provenance is None else provenance
        self._waiting.extend((answer, provenance) for answer in answers)
        if len(self._waiting) >= self.FLUSH_ROWS or time.monotonic() - self._flushed_at > self.FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Publish what is waiting as one segment, or as several where the texts are long.

        Raises:
            Orca2Error: the disk is full or read-only; the answers stay in memory, nothing published is harmed.
        """
        self._flushed_at = time.monotonic()
        while self._waiting:
            filled = accumulate(len(answer.text) for answer, _ in self._waiting)
            count = max(1, sum(characters <= self.SEGMENT_CHARACTERS for characters in filled))
            table = segments.stored_table(*zip(*self._waiting[:count], strict=True))
            self._published.append(segments.publish(self._root, table))
            del self._waiting[:count]
        if len(self._published) >= self.MERGE:
            self._merge()

    def _merge(self) -> None:
        try:
            merge(self._root, self._published)
        except Orca2Error as error:
            warnings.warn(f"small segments stay unmerged: {error.message}", stacklevel=2)
        self._published = []
