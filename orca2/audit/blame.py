"""Which rows came from a template, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from orca2.core.errors import Orca2Error
from orca2.project.artifacts import SPLITS, Artifact, SplitArtifacts
from orca2.project.shards import read_columns
from orca2.recipe.templates import Templates

if TYPE_CHECKING:
    import pyarrow as pa

_KEY = ["row_id", "sample_index", "strategy"]
_GROUP = ["template", "task", "strategy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """The requests of one split, task and strategy that one template rendered."""

    split: str
    template: str
    task: str
    strategy: str
    """In the evaluation, the role of the model in its place."""
    requests: int
    answered: int | None
    """None, and so below, where that was not built."""
    right: int | None
    """By strict extraction; of the training split, those of them that `grade` kept."""
    in_dataset: int | None
    """How many became training data; None also of a split that nobody learns from."""
    tokens: float | None
    """Mean length of an answer; None without one."""
    examples: tuple[str, ...]
    """Some row ids."""


class _Group(TypedDict):
    """What Arrow sums up over one task and strategy of one template; None where there was nothing to sum."""

    template: str
    task: str
    strategy: str
    row_id_count: int
    row_id_list: list[str]
    completion_tokens_count: int
    completion_tokens_mean: float | None
    strict_correct_sum: int | None
    key_count: int


def blame(template: str, root: Path = Path(), examples: int = 3) -> list[Blame]:
    """What a template file stands behind: itself, or a file that extends or includes it.

    Raises:
        Orca2Error: there is no such template, nothing was asked yet, or an artifact cannot be read.
    """
    templates = Templates(root / "templates")
    name = template.removeprefix("./").removeprefix("templates/")
    if name not in templates.files:
        raise Orca2Error("no such template", template, f"known: {', '.join(templates.files)}")
    behind = [file for file in templates.files if name in templates.reach(file)]
    built = {split: asked for split, asked in SPLITS.items() if (root / asked.requests.folder).is_dir()}
    if not built:
        where = ", ".join(asked.requests.folder for asked in SPLITS.values())
        raise Orca2Error("nothing was asked yet", where, "run `dvc repro` first")
    return [
        _blame(split, group, _unsure(root, asked), examples)
        for split, asked in built.items()
        for group in _grouped(_requests(root, behind, asked))
    ]


def unbuilt(root: Path = Path()) -> list[str]:
    """The folders of requests that are not here, and so in no figure."""
    return [asked.requests.folder for asked in SPLITS.values() if not (root / asked.requests.folder).is_dir()]


def _unsure(root: Path, asked: SplitArtifacts) -> dict[str, bool]:
    """Of what a nought is no figure, because it was not built in full; what was counted is."""
    parts = {"answered": asked.answers, "right": asked.verdicts, "in_dataset": asked.dataset}
    return {
        name: not artifacts or not all(a.optional or (root / a.folder).is_dir() for a in artifacts)
        for name, artifacts in parts.items()
    }


def _requests(root: Path, behind: Sequence[str], asked: SplitArtifacts) -> pa.Table:
    """The requests that these templates rendered, beside what became of each, in the order of their row ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    requests = read_columns(root / asked.requests.folder, [*_KEY, "task", "template"])
    rows = requests.filter(pc.is_in(requests["template"], value_set=pa.array(behind, pa.string())))
    rows = rows.join(_column(root, asked.answers, "completion_tokens", pa.int64()), _KEY)
    rows = rows.join(_column(root, asked.verdicts, "strict_correct", pa.bool_()), _KEY)
    return rows.join(_column(root, asked.dataset, "key", pa.string()), _KEY).sort_by("row_id")


def _grouped(rows: pa.Table) -> list[_Group]:
    sums = [
        ("row_id", "count"),
        ("row_id", "list"),
        ("completion_tokens", "count"),
        ("completion_tokens", "mean"),
        ("strict_correct", "sum"),
        ("key", "count"),
    ]
    grouped = rows.group_by(_GROUP, use_threads=False).aggregate(sums)
    return list(grouped.sort_by([(name, "ascending") for name in _GROUP]).to_pylist())


def _blame(split: str, group: _Group, unsure: dict[str, bool], examples: int) -> Blame:
    counts = {
        "answered": group["completion_tokens_count"],
        "right": group["strict_correct_sum"] or 0,
        "in_dataset": group["key_count"],
    }
    return Blame(
        split=split,
        template=group["template"],
        task=group["task"],
        strategy=group["strategy"],
        requests=group["row_id_count"],
        **{name: None if unsure[name] and not count else count for name, count in counts.items()},
        tokens=group["completion_tokens_mean"],
        examples=tuple(group["row_id_list"][:examples]),
    )


def _column(root: Path, artifacts: Sequence[Artifact[object]], name: str, kind: pa.DataType) -> pa.Table:
    """One column beside the key of its rows, of all the folders that are there."""
    import pyarrow as pa

    types = dict(zip(_KEY, (pa.string(), pa.int64(), pa.string()), strict=True)) | {name: kind}
    none = pa.schema(list(types.items())).empty_table()
    folders = [root / artifact.folder for artifact in artifacts]
    found = [read_columns(folder, [*_KEY, name]) for folder in folders if folder.is_dir()]
    return pa.concat_tables(found) if found else none
