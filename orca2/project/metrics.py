"""Counts of every stage: what came in, what went out, what was rejected and why. They balance, or the stage fails."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orca2.core.errors import Orca2Error
from orca2.core.rows import Rejected

METRICS = Path("metrics")
SPEED = Path(".orca2/speed")
"""Figures that differ from run to run: neither git nor dvc.lock knows them."""


def write_counts(stage: str, rows_in: int, rows_out: Sequence[Any], rejected: Sequence[Rejected], **more: Any) -> None:
    """Write `metrics/<stage>.json` and print one line of counts.

    Raises:
        Orca2Error: a row disappeared.
    """
    if rows_in != len(rows_out) + len(rejected):
        message = f"{rows_in} rows in, but {len(rows_out)} out and {len(rejected)} rejected"
        raise Orca2Error(message, f"stage {stage}", "report this as a bug")
    reasons = dict(sorted(Counter(row.reason for row in rejected).items()))
    write_json(METRICS / f"{stage}.json", {"rows_in": rows_in, "rows_out": len(rows_out), "rejected": reasons, **more})
    lost = "".join(f", {count} {reason}" for reason, count in reasons.items())
    print(f"{stage}: {rows_in} in, {len(rows_out)} out{lost}")


def write_speed(stage: str, run: Any) -> None:
    """Write `.orca2/speed/<stage>.json`: what differs from run to run (a `generation.Run`), kept out of artifacts."""
    names = ("num_cached", "num_generated", "generated_tokens", "num_nodes", "start_s", "generate_s")
    figures = {name: round(getattr(run, name), 3) for name in names}
    if run.num_generated:
        figures["tokens_per_s"] = round(run.generated_tokens / run.generate_s, 1)
    write_json(SPEED / f"{stage}.json", figures)
    print(f"{stage}: {run.num_cached} from the store, {run.num_generated} generated", end="")
    print(f", {figures['tokens_per_s']} tokens/s" if run.num_generated else "")


def write_json(file: Path, value: Any) -> None:
    """Write JSON with sorted keys and a final newline."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
