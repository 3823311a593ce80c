"""Which rows came from a template, and how good they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca2.errors import Orca2Error
from orca2.prompts import Templates
from orca2.shards import read_columns

_KEY = ["row_id", "sample_index", "strategy"]
_GROUP = ["template", "task", "strategy"]
_EVALUATED = tuple(f"data/evaluation/{role}" for role in ("base", "student", "teacher"))
_USES = (
    ("probe", "data/probe/requests", ("data/probe/graded",), ("data/probe/graded",)),
    ("train", "data/requests", ("data/generations",), ("data/graded",)),
    ("evaluation", "data/evaluation/requests", _EVALUATED, _EVALUATED),
)
"""Split, requests, answers, and verdicts of each stage that asks a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """The requests of one split, task and strategy that one template rendered."""

    split: str
    template: str
    task: str
    strategy: str
    """In the evaluation, the role of the model in its place."""
    requests: int
    answered: int
    right: int
    """By strict extraction; of the training split, those kept of them."""
    in_dataset: int
    """How many became training data."""
    tokens: float | None
    """Mean length of an answer; None without one."""
    examples: tuple[str, ...]
    """Some row ids."""


def blame(template: str, root: Path = Path(), examples: int = 3) -> list[Blame]:
    """What a template file stands behind: itself, or a file that extends or includes it.

    Raises:
        Orca2Error: there is no such template, or an artifact cannot be read.
    """
    templates = Templates(root / "templates")
    name = template.removeprefix("./").removeprefix("templates/")
    if name not in templates.files:
        raise Orca2Error("no such template", template, f"known: {', '.join(templates.files)}")
    behind = [file for file in templates.files if name in templates.reach(file)]
    return [row for use in _USES if (root / use[1]).is_dir() for row in _in_split(root, behind, examples, *use)]


def _in_split(
    root: Path,
    behind: Sequence[str],
    examples: int,
    split: str,
    asked: str,
    answers: Sequence[str],
    verdicts: Sequence[str],
) -> list[Blame]:
    import pyarrow as pa
    import pyarrow.compute as pc

    requests = read_columns(root / asked, [*_KEY, "task", "template"])
    rows = requests.filter(pc.is_in(requests["template"], value_set=pa.array(behind, pa.string())))
    rows = rows.join(_column(root, answers, "completion_tokens"), _KEY)
    rows = rows.join(_column(root, verdicts, "strict_correct"), _KEY)
    rows = rows.join(_column(root, ("data/chats",) if split == "train" else (), "key"), _KEY)
    sums = [
        ("row_id", "count"),
        ("completion_tokens", "count"),
        ("completion_tokens", "mean"),
        ("strict_correct", "sum"),
    ]
    grouped = (
        rows.group_by(_GROUP).aggregate([*sums, ("key", "count")]).sort_by([(name, "ascending") for name in _GROUP])
    )
    return [
        Blame(
            split=split,
            template=group["template"],
            task=group["task"],
            strategy=group["strategy"],
            requests=group["row_id_count"],
            answered=group["completion_tokens_count"],
            right=group["strict_correct_sum"] or 0,
            in_dataset=group["key_count"],
            tokens=group["completion_tokens_mean"],
            examples=_examples(rows, group, examples),
        )
        for group in grouped.to_pylist()
    ]


def _column(root: Path, folders: Sequence[str], name: str) -> Any:
    """One column beside the key of its rows, of all the folders that are there."""
    import pyarrow as pa

    empty = pa.table({**{key: pa.array([], pa.string()) for key in _KEY}, name: pa.array([], pa.int64())})
    empty = empty.set_column(1, "sample_index", pa.array([], pa.int64()))
    found = [read_columns(root / folder, [*_KEY, name]) for folder in folders if (root / folder).is_dir()]
    return pa.concat_tables(found) if found else empty


def _examples(rows: Any, group: dict[str, Any], count: int) -> tuple[str, ...]:
    import pyarrow.compute as pc

    mine = pc.and_(*(pc.equal(rows[name], group[name]) for name in ("template", "task")))
    mine = pc.and_(mine, pc.equal(rows["strategy"], group["strategy"]))
    return tuple(sorted(rows.filter(mine)["row_id"].to_pylist())[:count])
