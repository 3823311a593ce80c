"""Counts of every stage: what came in, what went out, what was rejected and why. They balance, or the stage fails."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orca2.core.errors import Orca2Error
from orca2.core.rows import Rejected

METRICS = Path("metrics")
SPEED = Path(".orca2/speed")
"""Figures that differ from run to run: neither git nor dvc.lock knows them."""


def write_counts(stage: str, rows_in: int, rows_out: int, rejected: Mapping[str, int], **more: object) -> None:
    """Write `metrics/<stage>.json` and print one line of counts.

    Args:
        stage: its name.
        rows_in: how many rows it read.
        rows_out: how many it passed on.
        rejected: how many it did not, by reason.
        more: further figures of the stage.

    Raises:
        Orca2Error: a row disappeared.
    """
    lost = sum(rejected.values())
    if rows_in != rows_out + lost:
        message = f"{rows_in} rows in, but {rows_out} out and {lost} rejected"
        raise Orca2Error(message, f"stage {stage}", "report this as a bug")
    reasons = dict(sorted(rejected.items()))
    write_json(METRICS / f"{stage}.json", {"rows_in": rows_in, "rows_out": rows_out, "rejected": reasons, **more})
    print(f"{stage}: {rows_in} in, {rows_out} out{''.join(f', {count} {reason}' for reason, count in reasons.items())}")


def reasons_of(rejected: Iterable[Rejected]) -> Counter[str]:
    """How many rows were rejected for each reason."""
    return Counter(row.reason for row in rejected)


def write_speed(stage: str, run: Any) -> None:
    """Write `.orca2/speed/<stage>.json`: what differs from run to run (a `GenerationRun`), kept out of artifacts."""
    names = ("num_cached", "num_generated", "generated_tokens", "num_nodes", "start_s", "generate_s")
    figures = {name: round(getattr(run, name), 3) for name in names}
    if run.num_generated:
        figures["tokens_per_s"] = round(run.generated_tokens / run.generate_s, 1)
    write_json(SPEED / f"{stage}.json", figures)
    print(f"{stage}: {run.num_cached} from the store, {run.num_generated} generated", end="")
    print(f", {figures['tokens_per_s']} tokens/s" if run.num_generated else "")


def write_json(file: Path, value: object) -> None:
    """Write JSON with sorted keys and a final newline."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
