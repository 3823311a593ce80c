"""Which rows no stage passed on, and why.

The reason is given where a row is rejected: `tasks`, `filtering`, `erasure` and `packing` of the recipe, and
`engines.generation` for a request without an answer (`REASONS`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.project.artifacts import REJECTED
from orca2.project.dvc_files import is_of_one_build, locked
from orca2.project.dvc_files import stages as stages_of
from orca2.project.shards import read_columns

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
        Orca2Error: nothing was built, or an artifact cannot be read.
    """
    import pyarrow as pa

    built = _built(root)
    if not built:
        raise Orca2Error("nothing was built, so what is rejected is not known", str(root / REJECTED), "run `dvc repro`")
    unknown = [stage for stage in stages if stage not in built]
    if unknown:
        known = ", ".join(built)
        raise Orca2Error("has no rejected rows here", f"stage {', '.join(unknown)}", f"built: {known}")
    folders = [folder for stage, folder in built.items() if not stages or stage in stages]
    tables = [read_columns(folder, [*_GROUP, "row_id", "detail"]) for folder in folders]
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


def unbuilt(root: Path = Path()) -> list[str]:
    """The stages of dvc.yaml whose rejected rows are not here, and so in no figure.

    Raises:
        Orca2Error: dvc.yaml is broken.
    """
    built = _built(root)
    outs = (Path(out) for stage in stages_of(root) for out in stage.outs)
    return [out.name for out in outs if out.parent == REJECTED and out.name not in built]


def stale(root: Path = Path()) -> list[str]:
    """The stages whose rejected rows are of another build than what they come from, as dvc.lock has it.

    Raises:
        Orca2Error: dvc.lock is torn.
    """
    lock = locked(root)
    made = {out for stage in lock.values() for out in stage.outs}
    folders = {stage: (REJECTED / stage).as_posix() for stage in _built(root)}
    return [s for s, folder in folders.items() if folder in made and not is_of_one_build(folder, lock)]


def _built(root: Path) -> dict[str, Path]:
    """Stage to folder."""
    return {folder.name: folder for folder in sorted((root / REJECTED).glob("*")) if any(folder.glob("*.parquet"))}
