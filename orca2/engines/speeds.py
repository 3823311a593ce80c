"""How fast engines were: one line for each run that generated, beside the stored answers, for `orca2 plan` to go by.

Volatile by nature: nothing of it enters an artifact or a key, and losing the file loses no answer.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "speeds.jsonl"
_FEWEST_TOKENS = 256
"""A run of fewer generated tokens says little about speed."""
_RECENT = 20
"""Runs that an estimate looks back on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One run of one model."""

    model: str
    """Digest."""
    arrangement: str
    """How many engines on how many cores and GPUs, and where; speeds are compared within one such arrangement."""
    tokens: int
    """Generated."""
    generate_s: float
    start_s: float
    """Seconds until the first engine was ready."""


def record(root: Path, speed: Speed) -> None:
    """Add one run; lines this short are appended whole, whoever else writes."""
    line = json.dumps(asdict(speed), sort_keys=True) + "\n"
    descriptor = os.open(root / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def recent(root: Path, model: str, arrangement: str) -> list[Speed]:
    """The latest runs of a model in this arrangement, oldest first; a line that is none is passed over."""
    if not (root / FILE).is_file():
        return []
    runs = []
    for line in (root / FILE).read_text("utf-8", errors="replace").splitlines():
        try:
            run = Speed(**json.loads(line))
            if (
                (run.model, run.arrangement) == (model, arrangement)
                and run.tokens >= _FEWEST_TOKENS
                and run.generate_s > 0
            ):
                runs.append(run)
        except (ValueError, TypeError):
            continue
    return runs[-_RECENT:]


def seconds(runs: Sequence[Speed], tokens: float) -> tuple[float, float] | None:
    """Shortest and longest time for so many tokens, engine start included, as these runs went; None without runs."""
    if not runs:
        return None
    rates, starts = [run.tokens / run.generate_s for run in runs], [run.start_s for run in runs]
    return min(starts) + tokens / max(rates), max(starts) + tokens / min(rates)
