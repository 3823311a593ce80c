"""Questions: read from sources, named by content, split, and de-duplicated. Nothing disappears.

Two kinds of source: `reasoning_gym` (seeded, verifiable, offline) and `datasets` (a hub id at a pinned revision through
Hugging Face `datasets`, or a local json, jsonl, csv or parquet file, read as it is written). A question's split depends
on its own content and the seed alone, so adding questions or raising a limit never moves another one between splits.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.hashing import canonical, derive_seed, digest, unit_interval
from orca2.core.rows import Example, Rejected, Split
from orca2.recipe.tables import SUFFIXES, read_records

UNSOUND_VERDICTS = frozenset({
    "binary_matrix", "countdown", "game_of_life_halting", "intermediate_integration", "n_queens",
    "polynomial_multiplication", "puzzle24", "simple_integration", "spiral_matrix", "string_insertion",
})  # fmt: skip
"""reasoning-gym datasets that run the answer as Python code to judge it, or (game of life) accept any text at all."""
_FILE_SETTINGS = {".json": {"field"}}
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SPLITS: tuple[Split, ...] = ("probe", "evaluation", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """How the questions of every task are divided."""

    probe_fraction: float = 0.2
    """Share of the questions that strategies are scored on."""
    evaluation_fraction: float = 0.2
    """Share that is held out; the rest is for training."""
    probe_limit: int = 0
    """Most probe questions a task; 0 means all."""
    train_limit: int = 0
    evaluation_limit: int = 0

    def __post_init__(self) -> None:
        if min(self.probe_fraction, self.evaluation_fraction) <= 0 or self.train_fraction <= 0:
            raise ValueError("the fractions must be above 0 and leave something to train on")
        if min(self.probe_limit, self.train_limit, self.evaluation_limit) < 0:
            raise ValueError("limits must be 0 (all) or more")

    @property
    def train_fraction(self) -> float:
        """What probe and evaluation leave."""
        return 1 - self.probe_fraction - self.evaluation_fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One source of questions, of one task; several may share a task."""

    kind: Literal["reasoning_gym", "datasets"]
    name: str
    """The reasoning-gym dataset; or a file path, or a hub id."""
    task: str = ""
    """The task its questions belong to; empty: the source's own name."""
    category: str
    """Groups tasks that may share templates."""
    grader: str = "exact"
    licence: str
    size: int = 0
    """Questions to draw from reasoning-gym."""
    config: dict[str, Any] = field(default_factory=dict)
    """Settings of the reasoning-gym dataset; the hub configuration as `name:`; the `field:` of a JSON file's rows."""
    question_column: str = "question"
    answer_column: str = "answer"
    answer_pattern: str = ""
    """Regular expression whose first group is the answer inside the answer column; empty takes the whole."""
    revision: str = ""
    """Commit of a hub dataset."""
    hub_split: str = "train"
    split: Literal["", "probe", "train", "evaluation"] = ""
    """Puts every question in this split instead of dividing them."""

    def __post_init__(self) -> None:
        if self.kind == "reasoning_gym" and self.size < 1:
            raise ValueError("size: a reasoning_gym source needs how many questions to draw")
        if self.kind == "datasets" and not self.is_file and not _COMMIT.fullmatch(self.revision):
            raise ValueError(f"revision: hub dataset {self.name!r} needs a 40-hex commit (a local file needs a suffix)")
        if self.kind == "datasets" and self.size:
            raise ValueError("size: is for reasoning_gym; limit other sources with splits.*_limit")
        if (
            self.kind == "datasets"
            and self.is_file
            and (extra := set(self.config) - _FILE_SETTINGS.get(Path(self.name).suffix, set()))
        ):
            raise ValueError(f"config: a local file has no setting {', '.join(sorted(extra))}")
        if self.grader == "reasoning_gym" and (self.kind != "reasoning_gym" or self.name in UNSOUND_VERDICTS):
            raise ValueError(f"grader: reasoning_gym cannot judge {self.name!r} (see tasks.UNSOUND_VERDICTS)")
        try:
            groups = re.compile(self.answer_pattern).groups
        except re.error as error:
            raise ValueError(f"answer_pattern: {error}") from error
        if self.answer_pattern and groups < 1:
            raise ValueError("answer_pattern: needs one group, the answer")

    @property
    def is_local(self) -> bool:
        """Whether the questions lie in a file here."""
        return self.kind == "datasets" and self.is_file

    @property
    def is_file(self) -> bool:
        """Whether `name` is a local file rather than a hub id."""
        return Path(self.name).suffix in SUFFIXES


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksConfig:
    """Where the questions of the dataset come from, by source name."""

    sources: dict[str, SourceConfig]
    splits: SplitConfig = SplitConfig()

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources: at least one is needed")
        for name in (*self.sources, *self.tasks):
            if not re.fullmatch(r"[\w-]+", name):
                raise ValueError(f"sources: name {name!r} may hold letters, digits, `_` and `-` only")
        probed = {s.task or name for name, s in self.sources.items() if s.split in ("", "probe")}
        for task in sorted(self.tasks - probed):
            raise ValueError(f"sources: task {task!r} has no source with probe questions: leave `split` of one empty")

    @property
    def tasks(self) -> set[str]:
        """The names of all tasks."""
        return {source.task or name for name, source in self.sources.items()}


def collect(config: TasksConfig, seed: int) -> tuple[list[Example], list[Rejected], int]:
    """Every question of every source, split; the exact duplicates and the surplus with their reason; the number read.

    Raises:
        InputErrors: every source that cannot be read and every unreadable or empty row, together.
    """
    examples: list[Example] = []
    errors: list[Orca2Error] = []
    for name, source in config.sources.items():
        try:
            read = read_source(source.task or name, source, seed)
            examples += [_with_split(example, source.split, config.splits, seed) for example in read]
        except Orca2Error as error:
            errors.append(error)
    raise_all(errors)
    unique, duplicates = _drop_duplicates(examples)
    kept, surplus = _limit(unique, config.splits, seed)
    return kept, duplicates + surplus, len(examples)


def read_source(task: str, source: SourceConfig, seed: int) -> list[Example]:
    """The questions of one source, in its own order, with ids by content; `split` is still to be decided."""
    reasoning_gym = source.kind == "reasoning_gym"
    return list(_read_reasoning_gym(task, source, seed) if reasoning_gym else _read_dataset(task, source))


def _read_reasoning_gym(task: str, source: SourceConfig, seed: int) -> Iterator[Example]:
    import reasoning_gym

    where = f"params.yaml: tasks.sources.{task}"
    own_seed = derive_seed(seed, "reasoning_gym", task) % 2**31
    try:
        dataset = reasoning_gym.create_dataset(source.name, size=source.size, seed=own_seed, **source.config)
    except (ValueError, TypeError, AssertionError) as error:
        raise Orca2Error(f"reasoning-gym refuses {source.name!r}: {error}", where, "see its documentation") from error
    for entry in dataset:
        metadata = {"source_dataset": source.name, **_plain(entry["metadata"])}
        yield _example(task, source, entry["question"].strip(), str(entry["answer"]), metadata)


def _read_dataset(task: str, source: SourceConfig) -> Iterator[Example]:
    where = source.name if source.is_file else f"{source.name}@{source.revision}"
    records = read_records(Path(source.name), **source.config) if source.is_file else _hub_records(source, where)
    if not records:
        raise Orca2Error("has no rows", where, "an empty source makes no task: fill or remove it")
    columns = list(dict.fromkeys(name for _, record in records for name in record))
    raise_all(
        Orca2Error(f"has no column `{column}`", where, f"its columns: {', '.join(columns)}")
        for column in (source.question_column, source.answer_column)
        if column not in columns
    )
    errors: list[Orca2Error] = []
    for place, record in records:
        question, answer = record.get(source.question_column), record.get(source.answer_column)
        problem = _problem(question, answer, source)
        if problem:
            errors.append(Orca2Error(problem, f"{where}: {place}", "mend or remove the row"))
        else:
            yield _example(task, source, str(question).strip(), _answer_in(answer, source), {})
    raise_all(errors)


def _hub_records(source: SourceConfig, where: str) -> list[tuple[str, dict[str, Any]]]:
    import datasets
    from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

    datasets.disable_progress_bars()
    try:
        table = datasets.load_dataset(source.name, **source.config, revision=source.revision, split=source.hub_split)
    except (DatasetGenerationError, DatasetNotFoundError, ValueError, OSError) as error:
        reason = error.__cause__ or error
        raise Orca2Error(f"cannot be read: {reason}", where, "check the id, the revision and the network") from error
    return [(f"row {number}", record) for number, record in enumerate(table, start=1)]


def _problem(question: Any, answer: Any, source: SourceConfig) -> str:
    for name, value in ((source.question_column, question), (source.answer_column, answer)):
        if value is None or not str(value).strip():
            return f"`{name}` is empty"
    if not isinstance(question, str):
        return f"`{source.question_column}` is {type(question).__name__}, not text"
    return "" if _answer_in(answer, source) else f"`{source.answer_column}` holds no answer_pattern"


def _answer_in(answer: Any, source: SourceConfig) -> str:
    """The answer inside the answer column; empty when the pattern does not find one."""
    if not source.answer_pattern:
        return str(answer).strip()
    found = re.search(source.answer_pattern, str(answer))
    return (found.group(1) or "").strip() if found else ""


def _example(task: str, source: SourceConfig, question: str, answer: str, metadata: dict[str, Any]) -> Example:
    return Example(
        row_id=digest("example", [task, question, answer]),
        task=task,
        category=source.category,
        split="train",
        question=question,
        answer=answer,
        grader=source.grader,
        metadata=canonical(metadata),
        source=f"{source.kind}:{source.name}",
        licence=source.licence,
    )


def _plain(value: Any) -> Any:
    """Metadata as JSON sees it; a set becomes a sorted list, anything else that is not plain raises."""
    return json.loads(json.dumps(value, default=sorted, sort_keys=True))


def _drop_duplicates(examples: Iterable[Example]) -> tuple[list[Example], list[Rejected]]:
    """Keep the first of equal questions, of whatever task: no question may be taught and examined at once."""
    first: dict[str, str] = {}
    copies: dict[str, int] = {}
    kept, rejected = [], []
    for example in examples:
        original = first.setdefault(example.question, example.row_id)
        copies[original] = copies.get(original, 0) + 1
        if copies[original] == 1:
            kept.append(example)
        else:
            rejected.append(_reject(example, copies[original], "duplicate question", f"same as {original}"))
    return kept, rejected


def _with_split(example: Example, fixed: Split | Literal[""], splits: SplitConfig, seed: int) -> Example:
    split = fixed or _split_of(unit_interval(seed, "split", example.row_id), splits)
    return replace(example, split=split)


def _split_of(position: float, splits: SplitConfig) -> Split:
    if position < splits.probe_fraction:
        return "probe"
    return "evaluation" if position < splits.probe_fraction + splits.evaluation_fraction else "train"


def _limit(examples: list[Example], splits: SplitConfig, seed: int) -> tuple[list[Example], list[Rejected]]:
    """At most the limit of each task's split, chosen by hash; the surplus is rejected by name."""
    limits = dict(zip(_SPLITS, (splits.probe_limit, splits.evaluation_limit, splits.train_limit), strict=True))
    taken: dict[tuple[str, Split], int] = {}
    kept, surplus = [], []
    for example in sorted(examples, key=lambda e: (unit_interval(seed, "limit", e.row_id), e.row_id)):
        place = (example.task, example.split)
        taken[place] = taken.get(place, 0) + 1
        if limits[example.split] and taken[place] > limits[example.split]:
            surplus.append(_reject(example, 0, f"beyond {example.split}_limit", ""))
        else:
            kept.append(example)
    return kept, surplus


def _reject(example: Example, sample_index: int, reason: str, detail: str) -> Rejected:
    return Rejected(
        row_id=example.row_id,
        sample_index=sample_index,
        task=example.task,
        stage="prepare_tasks",
        reason=reason,
        detail=detail,
    )
