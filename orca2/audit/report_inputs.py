"""What the report is made from: what the stages wrote, as far as it is there, and in words what is not."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar

import yaml

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.hashing import digest
from orca2.core.rows import Chat, Request
from orca2.core.tables import from_table
from orca2.project.artifacts import CHOICES, COMPARED, DATASET, EVALUATED, EVALUATION_REQUESTS, REQUESTS, Artifact
from orca2.project.shards import read_columns
from orca2.recipe.evaluation import Role, is_student
from orca2.recipe.evaluation.benchmarks import Figure
from orca2.recipe.evaluation.comparison import Comparison
from orca2.recipe.evaluation.summary import Interval, Macro
from orca2.recipe.strategies import Used, read_choices

MODELS = tuple(EVALUATED)
"""Roles of the models that are always examined, as they are drawn; models that are compared come after the first of
them, and the student's further templates after the student."""
STAGES = tuple(stage for stage in COMPARED if stage != EVALUATION_REQUESTS.stage)
"""Those that count the rows they read and write."""
_COUNTS = ("rows_in", "rows_out", "rejected")
_RESULT = ("macro", "tasks")
_AGAIN = "run `dvc repro`"
_T = TypeVar("_T")
Extraction = Literal["strict", "lenient"]


class TaskResult(TypedDict):
    """What one model did on one task."""

    questions: int
    strict: Interval
    lenient: Interval


class Result(TypedDict):
    """What one model did."""

    macro: Macro
    tasks: dict[str, TaskResult]


class Count(TypedDict):
    """The rows of one stage."""

    rows_in: int
    rows_out: int
    rejected: dict[str, int]


class ChatId(TypedDict):
    """Which conversation, and what it is grouped by."""

    row_id: str
    sample_index: int
    task: str
    strategy: str


Evaluation = dict[str, Result]
"""By the role of the model; only of those that were examined."""
Against = Mapping[str, Comparison]
"""One student against each other model, by its role."""
Evidence = Mapping[str, Mapping[str, Any]]
"""By task, what the probe found, as `strategies.write_choices` wrote it."""
Sample = tuple[Chat, Request]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything the page is made from; what is not there is empty, and named in `absent`."""

    evaluation: Evaluation
    against: Mapping[str, Comparison]
    """The student against each other model that was examined, by its role; under its first template also against
    itself under each further one."""
    techniques: Used
    """What technique the answers of each examined model show."""
    chosen: dict[str, str]
    """Task to strategy, as training used it, after any edit by a person."""
    evidence: Evidence
    loss: Sequence[tuple[int, float]]
    """Training step and its loss, in nats per supervised token."""
    counts: Mapping[str, Count]
    roles: Mapping[str, Role] = field(default_factory=dict)
    """Which model each role is and how it was asked; empty where only those of the recipe were examined."""
    again: Mapping[str, Mapping[str, Comparison]] = field(default_factory=dict)
    """The student under each further template, by that role, against each other model."""
    benchmarks: Mapping[str, Figure] = field(default_factory=dict)
    """Those that were examined, by name; none where every task was taught."""
    residue: Mapping[str, Mapping[str, int]]
    """By technique, the answers that erasing read, and how many held a residue of each kind."""
    near_copies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of the held-out questions of each task, how many have a near copy in training."""
    samples: Sequence[Sample]
    """Training conversations, each beside the request whose instruction it no longer shows."""
    absent: Sequence[str] = ()
    """What the page cannot show, in words."""


class _Absent(Exception):  # noqa: N818  (no error: a pipeline may lack any stage)
    """There is nothing to read."""


class _Examined(NamedTuple):
    """What an evaluation found."""

    evaluation: Evaluation
    against: Against
    techniques: Used
    roles: Mapping[str, Role]
    again: Mapping[str, Against]
    benchmarks: Mapping[str, Figure]


def read_inputs(root: Path = Path()) -> Inputs:
    """Read what the stages wrote under `root`.

    Raises:
        InputErrors: every artifact that is spoilt.
        Orca2Error: there is nothing at all.
    """
    errors: list[Orca2Error] = []
    absent: list[str] = []

    def attempt(read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except _Absent as nothing:
            absent.append(str(nothing))
        except Orca2Error as error:
            errors.append(error)
        return None

    examined = attempt(lambda: _read_evaluation(root / "metrics/evaluate.json"))
    found = examined or _Examined({}, {}, Used(recognised=None, models={}), {}, {}, {})
    absent += [f"no {role} was examined" for role in MODELS if examined and role not in found.evaluation]
    chosen, evidence = attempt(lambda: _read_strategies(root / CHOICES)) or ({}, {})
    loss = attempt(lambda: _read_loss(root / "plots/train")) or []
    files = {stage: root / f"metrics/{stage}.json" for stage in STAGES}
    read = {stage: attempt(partial(_read_count, file)) for stage, file in files.items()}
    counts = {stage: count for stage, count in read.items() if count}
    residue = attempt(lambda: _read_json(files["erase"], ()).get("residue")) if "erase" in counts else {}
    near = attempt(lambda: _read_near_copies(files["prepare_tasks"])) if "prepare_tasks" in counts else {}
    samples = attempt(lambda: _read_samples(root)) or []
    raise_all(errors)
    if not (found.evaluation or chosen or loss or counts or samples):
        raise Orca2Error("there is nothing to report: no stage has written anything", str(root), _AGAIN)
    return Inputs(
        **found._asdict(),
        chosen=chosen,
        evidence=evidence,
        loss=loss,
        counts=counts,
        residue=residue or {},
        near_copies=near or {},
        samples=samples,
        absent=tuple(absent),
    )


def choose_samples(chats: Iterable[ChatId], per_group: int = 2) -> list[ChatId]:
    """A few chats of each task and strategy, drawn by the hash of their identity: the same ones on any day."""

    def order(chat: ChatId) -> tuple[str, str, str]:
        return chat["task"], chat["strategy"], digest("report sample", [chat["row_id"], chat["sample_index"]])

    groups = groupby(sorted(chats, key=order), key=lambda chat: (chat["task"], chat["strategy"]))
    return [chat for _, group in groups for chat in islice(group, per_group)]


def _read_json(file: Path, keys: Sequence[str]) -> dict[str, Any]:
    if not file.is_file():
        raise _Absent(f"{file.name.removesuffix('.json')} has written no metrics")
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Orca2Error(f"is not JSON: {error}", str(file), _AGAIN) from error
    lacking = [key for key in keys if not isinstance(value, dict) or key not in value]
    if lacking or not isinstance(value, dict):
        raise Orca2Error(
            f"lacks {', '.join(lacking) or 'names'}", str(file), f"it was written by another version: {_AGAIN}"
        )
    return value


def _read_count(file: Path) -> Count:
    value = _read_json(file, _COUNTS)
    return Count(rows_in=value["rows_in"], rows_out=value["rows_out"], rejected=value["rejected"])


def _read_near_copies(file: Path) -> dict[str, Mapping[str, int]]:
    """Of each task; nothing where an earlier version counted none."""
    found: dict[str, Mapping[str, int]] = _read_json(file, ()).get("near_copies", {})
    return found


def in_order(roles: Iterable[str]) -> list[str]:
    """Roles as they are drawn: base, models that are compared, the student under each template, teacher."""
    return sorted(roles, key=lambda role: (role == "teacher", is_student(role), role != "base", role))


def _read_evaluation(file: Path) -> _Examined:
    value = _read_json(file, ())
    roles = value.get("roles", {})
    found: Evaluation = {role: value[role] for role in in_order({*MODELS, *roles}) if role in value}
    results = found | {role: value.get(role) for role in roles}
    spoilt = [role for role, result in results.items() if not (isinstance(result, dict) and {*_RESULT} <= {*result})]
    if spoilt or (value and not found):
        lacks = f"has no result of {', '.join(spoilt or MODELS)}"
        raise Orca2Error(lacks, str(file), f"it was written by another version: {_AGAIN}")
    examined = {role: result for role, result in found.items() if result["tasks"]}
    if not examined:
        raise _Absent("no model was examined: there was no held-out question")
    against = {role: _against(role, examined, value) for role in examined if is_student(role)}
    lacking = {role: [other for other in others if not others[other]] for role, others in against.items()}
    if any(lacking.values()) or "techniques" not in value:
        told = [
            f"the {role.replace('_', ' ')} with {' and '.join(others)}" for role, others in lacking.items() if others
        ]
        lacks = f"does not compare {', '.join(told) or 'techniques taught with techniques used'}"
        raise Orca2Error(lacks, str(file), f"it was written by another version: {_AGAIN}")
    first = against.pop("student", {})
    return _Examined(examined, first, value["techniques"], roles, against, value.get("benchmarks", {}))


def _against(student: str, examined: Iterable[str], value: Mapping[str, Any]) -> Against:
    """A student against each model that was examined; nothing beside a model that it was not compared with."""
    found = value.get(f"{student}_against", {})
    others = (role for role in examined if role != student and (student == "student" or not is_student(role)))
    return {role: found.get(role) for role in others}


def _read_strategies(file: Path) -> tuple[dict[str, str], Evidence]:
    if not file.is_file():
        raise _Absent("no technique was chosen")
    chosen = read_choices(file)
    return chosen, yaml.safe_load(file.read_text(encoding="utf-8")).get("evidence") or {}


def _read_loss(folder: Path) -> list[tuple[int, float]]:
    """The `loss` series that DVCLive wrote, wherever in its folder."""
    file = next(iter(sorted(folder.rglob("loss.tsv"))), None)
    if file is None:
        raise _Absent("no training was logged")
    try:
        lines = csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t")
        loss = [(int(line["step"]), float(line["loss"])) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise Orca2Error(f"is not a series of `step` and `loss`: {error}", str(file), _AGAIN) from error
    if not loss:
        raise Orca2Error("holds no step", str(file), _AGAIN)
    return loss


def _read_samples(root: Path) -> list[Sample]:
    """A few conversations with their requests; only those rows are read whole."""
    missing = [artifact.folder for artifact in (DATASET, REQUESTS) if not _is_there(root / artifact.folder)]
    if missing:
        raise _Absent(f"no sample rows: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not here")
    names = ("row_id", "sample_index", "task", "strategy")
    chosen = choose_samples(read_columns(root / DATASET.folder, names).to_pylist())
    ids = [chat["row_id"] for chat in chosen]
    chats = {(c.row_id, c.sample_index): c for c in _rows(root, DATASET, ids)}
    asked = {(r.key, r.row_id, r.sample_index): r for r in _rows(root, REQUESTS, ids)}
    samples = [chats[chat["row_id"], chat["sample_index"]] for chat in chosen]
    for chat in samples:
        if (chat.key, chat.row_id, chat.sample_index) not in asked:
            raise Orca2Error(f"has no request {chat.key[:12]} of row {chat.row_id[:12]}", REQUESTS.folder, _AGAIN)
    return [(chat, asked[chat.key, chat.row_id, chat.sample_index]) for chat in samples]


def _rows(root: Path, artifact: Artifact[_T], ids: Sequence[str]) -> Iterable[_T]:
    """The rows of these questions."""
    import pyarrow.parquet as pq

    files = sorted((root / artifact.folder).glob("rows-*.parquet"))
    for file in files if ids else ():
        table = pq.read_table(file, filters=[("row_id", "in", ids)], partitioning=None)
        yield from from_table(table, artifact.row_type)


def _is_there(folder: Path) -> bool:
    return any(folder.glob("rows-*.parquet"))
