"""A diff as text for a terminal, as Markdown for a pull request, and as JSON for machines."""

import dataclasses
import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from orca2.core.text import aligned, lines_of, printable
from orca2.diff.diff import Change, Diff, Group
from orca2.diff.shifts import Quality, StrategyShift, quality, strategy_shifts
from orca2.project.revisions import Revision

STATUSES = ("added", "removed", "changed", "moved")
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shifts:
    """How the dataset as a whole moved."""

    strategies: list[StrategyShift]
    quality: tuple[Mapping[str, Quality], Mapping[str, Quality]]

    @classmethod
    def of(cls, diff: Diff, before: Revision, after: Revision) -> "Shifts":
        """The shifts between two revisions that differ; what the teacher answered is told of stages that follow it."""
        answered = diff.differs and diff.stage in ("generate", "grade", "erase")
        return cls(
            strategies=strategy_shifts(before, after) if diff.differs else [],
            quality=(quality(before), quality(after)) if answered else ({}, {}),
        )


def as_json(diff: Diff, shifts: Shifts) -> dict[str, object]:
    """The whole diff as plain data."""
    return {
        "before": diff.before,
        "after": diff.after,
        "stage": diff.stage,
        "where": diff.where,
        "rows_before": diff.rows_before,
        "rows_after": diff.rows_after,
        "counts": [group._asdict() | {"rows": rows} for group, rows in diff.counts.most_common()],
        "fields": dict(diff.fields.most_common()),
        "hunks": diff.hunks,
        "columns": diff.columns,
        "notes": diff.notes,
        "strategies": [dataclasses.asdict(shift) for shift in shifts.strategies],
        "quality": [{task: dataclasses.asdict(q) for task, q in side.items()} for side in shifts.quality],
        "rows": [dataclasses.asdict(change) for change in diff.shown],
    }


def as_text(diff: Diff, shifts: Shifts) -> str:
    """The summary, then the rows that were asked for."""
    lines = [printable(line) for line in (headline(diff), *(f"note: {note}" for note in diff.notes))]
    for title, header, rows in tables(diff, shifts):
        lines += ["", *aligned([(title, *header[1:]), *rows])]
    for hunks in diff.hunks.values():
        lines += ["", *(f"    {line}" for line in lines_of(hunks))]
    for change in diff.shown:
        lines += ["", f"{_SIGNS[change.status]} {_told(change)}", *(f"    {line}" for line in _body(change))]
    return "\n".join(lines) + "\n"


def as_markdown(diff: Diff, shifts: Shifts) -> str:
    """The same for a pull request: tables, and each row folded away."""
    lines = [f"### {_cell(headline(diff))}", "", *(f"> {_cell(note)}" for note in diff.notes)]
    for _, header, rows in tables(diff, shifts):
        lines += ["", "| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    for hunks in diff.hunks.values():
        lines += ["", *_fenced(lines_of(hunks))]
    for change in diff.shown:
        title = f"{_SIGNS[change.status]} {_cell(_told(change))}"
        lines += ["", f"<details><summary>{title}</summary>", "", *_fenced(_body(change)), "</details>"]
    return "\n".join(lines) + "\n"


def headline(diff: Diff) -> str:
    by_status = _summed(diff.counts, "status")
    parts = [f"{by_status[status]:,} {status}" for status in STATUSES if by_status[status]]
    nothing = "no difference of that condition" if diff.where else "the same rows"
    said = ", ".join([*parts, *(f"column {name}" for name in diff.columns)]) or nothing
    return f"{diff.before} → {diff.after}, {diff.stage}: {diff.rows_before:,} → {diff.rows_after:,} rows, {said}"


def tables(diff: Diff, shifts: Shifts) -> Iterator[tuple[str, tuple[str, ...], Sequence[tuple[str, ...]]]]:
    """Title, header and rows of each table of the summary that has any."""
    if diff.counts:
        yield "why", ("why", "rows", *STATUSES), _crossed(diff.counts, "cause", "detail")
        yield "task", ("task", "rows", *STATUSES), _crossed(diff.counts, "task")
        yield "strategy", ("strategy", "rows", *STATUSES), _crossed(diff.counts, "strategy")
    if diff.fields:
        yield "field", ("field", "rows"), [(name, f"{rows:,}") for name, rows in diff.fields.most_common() if rows]
    if shifts.strategies:
        won = [(s.task, f"{s.before} → {s.after}", "; ".join(map(_score, s.scores))) for s in shifts.strategies]
        yield "chosen", ("task", "strategy", "accuracy on the probe"), won
    if rows := _quality_rows(*shifts.quality):
        yield "teacher", ("teacher", "answers", "right and kept", "tokens an answer"), rows


def _crossed(counts: Counter[Group], *names: str) -> list[tuple[str, ...]]:
    """Rows by one or two of their attributes, largest first, with a column for each status."""
    table: dict[str, Counter[str]] = {}
    for group, rows in counts.items():
        name = ": ".join(value for key in names if (value := getattr(group, key))) or "-"
        table.setdefault(name, Counter())[group.status] += rows
    ordered = sorted(table.items(), key=lambda item: (-item[1].total(), item[0]))
    return [(name, f"{row.total():,}", *(f"{row[s]:,}" if row[s] else "" for s in STATUSES)) for name, row in ordered]


def _quality_rows(before: Mapping[str, Quality], after: Mapping[str, Quality]) -> Sequence[tuple[str, ...]]:
    """The tasks that moved, and all together."""
    rows = []
    for task in sorted({*before, *after}):
        a, b = before.get(task), after.get(task)
        if a != b:
            rows.append(
                (
                    task or "all tasks",
                    _arrow(a, b, lambda q: f"{q.answers:,}"),
                    _arrow(a, b, lambda q: f"{100 * q.accuracy:.1f} %"),
                    _arrow(a, b, lambda q: f"{q.tokens:.1f}"),
                )
            )
    return rows


def _arrow(before: Quality | None, after: Quality | None, shown: Callable[[Quality], str]) -> str:
    old, new = (shown(side) if side else "-" for side in (before, after))
    return old if old == new else f"{old} → {new}"


def _score(score: tuple[str, float | None, float | None]) -> str:
    strategy, before, after = score
    return f"{strategy} {'-' if before is None else before} → {'-' if after is None else after}"


def _summed(counts: Counter[Group], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for group, rows in counts.items():
        total[getattr(group, name)] += rows
    return total


def _told(change: Change) -> str:
    about = [change.row_id[:12], *([f"sample {change.sample_index}"] if change.sample_index else [])]
    about += [part for part in (change.task, change.strategy) if part]
    return printable(f"{' '.join(about)}  {change.cause}: {change.detail}")


def _body(change: Change) -> list[str]:
    """What differs, line by line; of a row that only one version has, what a reader needs of it."""
    if change.before is not None and change.after is not None:
        shared = [name for name in change.fields if name in change.before and name in change.after]
        return [line for name in shared for line in _changed(name, change.before[name], change.after[name])]
    sign, record = ("-", change.before) if change.after is None else ("+", change.after)
    shown = [name for name in ("question", "messages", "text", "answer") if name in (record or {})]
    return [f"{sign} {line}" for name in shown for line in lines_of((record or {})[name])]


def _changed(name: str, before: object, after: object) -> Iterator[str]:
    yield f"{name}:"
    matched = difflib.unified_diff(lines_of(before), lines_of(after), lineterm="", n=0)
    yield from (f"{line[0]} {line[1:]}" for line in matched if not line.startswith(("---", "+++", "@@")))


def _fenced(lines: Sequence[str]) -> list[str]:
    """A code block that nothing in it can end."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}diff", *lines, fence]


def _cell(text: str) -> str:
    """Text that no Markdown or HTML in it can break out of."""
    escaped = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_{}\[\]|#~])", r"\\\1", escaped)
