"""Which rows no stage passed on, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.project.shards import read_columns

FOLDER = Path("data/rejected")
_GROUP = ["stage", "reason", "task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """The rows that one stage rejected for one reason, of one task."""

    stage: str
    reason: str
    task: str
    rows: int
    examples: tuple[tuple[str, str], ...]
    """Row id and detail of some."""


def rejects(root: Path = Path(), stages: Sequence[str] = (), examples: int = 2) -> list[Reason]:
    """Every reason, the commonest of each stage first.

    Args:
        root: the project.
        stages: only of these stages; none means all.
        examples: how many rows to name of each reason.

    Raises:
        Orca2Error: an artifact cannot be read.
    """
    import pyarrow as pa

    unknown = [stage for stage in stages if not (root / FOLDER / stage).is_dir()]
    if unknown:
        known = ", ".join(sorted(folder.name for folder in (root / FOLDER).glob("*")))
        raise Orca2Error("rejects no rows", f"stage {', '.join(unknown)}", f"known: {known}")
    folders = [f for f in sorted((root / FOLDER).glob("*")) if f.is_dir() and (not stages or f.name in stages)]
    tables = [read_columns(folder, [*_GROUP, "row_id", "detail"]) for folder in folders]
    if not tables:
        return []
    rows = pa.concat_tables(tables)
    sums = [("row_id", "count"), ("row_id", "list"), ("detail", "list")]
    grouped = rows.group_by(_GROUP, use_threads=False).aggregate(sums)
    ordered = grouped.sort_by(
        [("stage", "ascending"), ("row_id_count", "descending"), ("reason", "ascending"), ("task", "ascending")]
    )
    return [
        Reason(
            **{name: group[name] for name in _GROUP},
            rows=group["row_id_count"],
            examples=tuple(zip(group["row_id_list"][:examples], group["detail_list"][:examples], strict=True)),
        )
        for group in ordered.to_pylist()
    ]
