"""The index as it was before it had files: every key column read, sorted and searched in memory. Not a test module."""

import numpy as np

from orca2.store import segments


class NaiveIndex:
    """What `orca2.store.index` must agree with."""

    def __init__(self, root):
        read = {file.name: segments.read_indexed(file) for file in segments.segment_files(root)}
        replaced = {name for indexed in read.values() for name in indexed.replaces}
        entries = [
            (tuple(keys), int(stored_ns), number, row, int(limit), name)
            for number, (name, indexed) in enumerate(sorted(read.items()))
            if name not in replaced
            for row, (keys, limit, stored_ns) in enumerate(
                zip(indexed.keys.tolist(), indexed.limits, indexed.stored_ns, strict=True)
            )
        ]
        self.entries = []
        for entry in sorted(entries):
            key, stored_ns, _, _, limit, _ = entry
            if not any(e[:2] == (key, stored_ns) and e[4] == limit for e in self.entries):
                self.entries.append(entry)

    def __len__(self):
        return len(self.entries)

    def find(self, key, max_tokens):
        """Name of the segment and row of the answer; None where there is none."""
        words = tuple(np.frombuffer(bytes.fromhex(key), np.uint64).tolist())
        for stored, _, _, row, limit, name in self.entries:
            if stored == words and (limit == max_tokens if limit > 0 else -limit <= max_tokens):
                return name, row
        return None
