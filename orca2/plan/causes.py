"""Why a request must be generated: what differs from the request that was asked in its place last time.

The first cause along the lineage counts: question, strategy, model, template, sampling, limit. What was asked last time
is read from the artifact that lies in the workspace, column by column, without building its rows.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from orca2.core.rows import Request, Sampling
from orca2.project.git import edited_files
from orca2.project.shards import read_columns
from orca2.recipe.prompts import Templates
from orca2.store.segments import KEY_HEX
from orca2.store.store import Store

_COLUMNS = ("row_id", "sample_index", "strategy", "template", "model", "key", "sampling", "seed")


class Earlier:
    """The requests of an artifact as it lies there; none where it was never built.

    Args:
        folder: an artifact of `Request` rows.
        by_strategy: whether a question is asked under several strategies (or roles) side by side.
    """

    def __init__(self, folder: Path, *, by_strategy: bool) -> None:
        self._folder, self._by_strategy = folder, by_strategy
        self.built = any(folder.glob("rows-*.parquet"))
        columns = read_columns(folder, _COLUMNS).to_pydict() if self.built else {name: [] for name in _COLUMNS}
        self._columns: dict[str, list[Any]] = columns
        strategies = columns["strategy"] if by_strategy else [""] * len(columns["row_id"])
        places = zip(columns["row_id"], columns["sample_index"], strategies, strict=True)
        self._rows = {place: row for row, place in enumerate(places)}

    def place(self, request: Request) -> tuple[str, int, str]:
        """What stays the same when anything else about a request changes."""
        return request.row_id, request.sample_index, request.strategy if self._by_strategy else ""

    def row(self, request: Request) -> dict[str, Any] | None:
        """What was asked in this place."""
        number = self._rows.get(self.place(request))
        return None if number is None else {name: self._columns[name][number] for name in _COLUMNS} | {"row": number}

    @property
    def keys(self) -> set[str]:
        """The keys of all that was asked."""
        return set(self._columns["key"])

    def has_question(self, row_id: str) -> bool:
        """Whether anything was asked about this question."""
        return row_id in self._questions

    def turns(self, row: int) -> list[tuple[str, str]]:
        """The conversation that was asked: role and content of each turn."""
        return [(message["role"], message["content"]) for message in self._messages[row].as_py()]

    def dropped(self, requests: Iterable[Request]) -> Counter[str]:
        """How many requests are not asked any more, by cause."""
        requests = list(requests)
        kept, questions = {self.place(r) for r in requests}, {r.row_id for r in requests}
        strategies = {r.strategy for r in requests}
        return Counter(
            "question gone"
            if row_id not in questions
            else f"strategy {strategy} dropped"
            if strategy and strategy not in strategies
            else "fewer samples"
            for row_id, sample_index, strategy in self._rows
            if (row_id, sample_index, strategy) not in kept
        )

    @cached_property
    def _questions(self) -> set[str]:
        return set(self._columns["row_id"])

    @cached_property
    def _messages(self) -> Any:
        return read_columns(self._folder, ["messages"])["messages"]


class Causes:
    """Names the cause of one request after another; what a template changed is looked up once for each task."""

    def __init__(self, earlier: Earlier, templates: Templates, store: Store) -> None:
        self._earlier, self._templates, self._store = earlier, templates, store
        self._changes: dict[tuple[str, str], str] = {}

    def of(self, request: Request) -> str:
        """Why the store has no answer to this request."""
        old = self._earlier.row(request)
        if old is None:
            return self._why_new(request)
        return (
            _strategy(old, request)
            or _model(old, request)
            or self._template(old, request)
            or _sampling(old, request)
            or self._limit(old, request)
            or "asked before, but the answer is not in this store (`orca2 store pull`?)"
        )

    def _why_new(self, request: Request) -> str:
        if not self._earlier.built:
            return "never built here"
        if not self._earlier.has_question(request.row_id):
            return f"new question of task {request.task}"
        return f"new sample {request.sample_index}" if request.sample_index else f"new strategy {request.strategy}"

    def _template(self, old: dict[str, Any], request: Request) -> str:
        if old["template"] != request.template:
            return f"template {old['template']} → {request.template}"
        place = (request.template, request.task)
        if place not in self._changes:
            before, now = self._earlier.turns(old["row"]), [(m.role, m.content) for m in request.messages]
            self._changes[place] = "" if before == now else self._where(request.template, _lines(before), _lines(now))
        return self._changes[place]

    def _limit(self, old: dict[str, Any], request: Request) -> str:
        before, now = old["sampling"]["max_tokens"], request.sampling.max_tokens
        if before == now or self._store.lookup([old["key"]], [before])[0] < 0:
            return ""
        return f"max_tokens {before} → {now} and {'cut by length' if now > before else 'longer than that'}"

    def _where(self, template: str, before: list[str], now: list[str]) -> str:
        """The template line that shows the first difference; the files that may be behind it where none does."""
        pairs = enumerate(zip(before, now, strict=False))
        first = next((i for i, (a, b) in pairs if a != b), min(len(before), len(now)))
        files = self._edited(template)
        shown = now[first].strip() if first < len(now) else ""
        # A line that was there before has only moved up: what changed is a line that no file holds any more.
        for file in files if shown and shown not in map(str.strip, before) else ():
            source = (self._templates.root / file).read_text("utf-8").splitlines()
            numbers = [number for number, line in enumerate(source, start=1) if line.strip() == shown]
            if numbers:
                again = sum(line.strip() == shown for line in now[:first])
                return f"{self._templates.root}/{file} line {numbers[min(again, len(numbers) - 1)]}"
        return " or ".join(f"{self._templates.root}/{file}" for file in files)

    def _edited(self, template: str) -> list[str]:
        """The files that a template is made of, itself first; only those that git says are edited, if there are any."""
        reach = [template, *sorted(self._templates.reach(template) - {template})]
        return [file for file in reach if file in self._differing] or reach

    @cached_property
    def _differing(self) -> set[str]:
        names = edited_files(self._templates.root)
        return {file for file in self._templates.files if any(name.endswith(f"/{file}") for name in names)}


def _strategy(old: dict[str, Any], request: Request) -> str:
    changed = old["strategy"] != request.strategy
    return f"task {request.task}: strategy {old['strategy']} → {request.strategy}" if changed else ""


def _model(old: dict[str, Any], request: Request) -> str:
    changed = old["model"] != request.model
    return f"another model: {_short(old['model'])} → {_short(request.model)}" if changed else ""


def _short(digest: str) -> str:
    return digest[:12] if len(digest) == KEY_HEX else digest


def _sampling(old: dict[str, Any], request: Request) -> str:
    """Differences in the parameters that are part of the key."""
    before, now = Sampling(**old["sampling"] | {"stop": tuple(old["sampling"]["stop"])}), request.sampling
    names = [name for name in Sampling.__dataclass_fields__ if name != "max_tokens"]
    changes = [f"{n} {getattr(before, n)} → {getattr(now, n)}" for n in names if getattr(before, n) != getattr(now, n)]
    if now.temperature and old["seed"] != request.seed:
        changes.append("another seed")
    return f"sampling: {', '.join(changes)}" if changes and old["key"] != request.key else ""


def _lines(turns: Iterable[tuple[str, str]]) -> list[str]:
    return [line for _, content in turns for line in content.split("\n")]
