"""The commands that look at datasets: `orca2 diff`, `why`, `blame`, `rejects`, `log`."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from orca2.cli.command import Commands, add, at_least
from orca2.project.artifacts import COMPARED, DATASET

_DETAIL = 100
_SHOWN = {"text": 3, "json": 10, "markdown": 10, "html": 10_000}


def add_commands(commands: Commands) -> None:
    """Add these commands to those of `orca2`."""
    diff = add(
        commands, "diff", _diff, "what changed in the dataset between two revisions, and why; exits 1 if anything"
    )
    diff.set_defaults(trouble=2)
    diff.add_argument("before", nargs="?", default="HEAD", help="commit, branch, tag, DVC experiment (default: HEAD)")
    diff.add_argument("after", nargs="?", default="workspace", help="the same, or `workspace` (the default)")
    diff.add_argument(
        "--stage",
        choices=tuple(COMPARED),
        default=DATASET.stage,
        help=f"whose rows to compare (default: {DATASET.stage}, the dataset)",
    )
    diff.add_argument("--where", default="", metavar="SQL", help="such as \"task = 'gcd' and cause = 'template'\"")
    diff.add_argument("--stat", action="store_true", help="the summary alone")
    diff.add_argument(
        "--rows", type=at_least(0), metavar="N", help="rows to show (text 3, json and markdown 10, html 10000)"
    )
    diff.add_argument("--format", choices=tuple(_SHOWN), default="text")
    diff.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there (html: default diff.html)")
    why = add(
        commands, "why", _why, "where a row came from: question, strategy, template, request, answer, verdict, tokens"
    )
    why.add_argument("row", help="the first digits of its row id")
    why.add_argument("--rev", default="workspace", help="in this revision (default: workspace)")
    blame = add(commands, "blame", _blame, "the rows that came from a template: how many, how right, how long")
    blame.add_argument("template", help="such as templates/strategies/step_by_step.j2")
    rejects = add(commands, "rejects", _rejects, "the rows that no stage passed on, and why")
    rejects.add_argument("--stage", action="append", default=[], help="only of this stage; may be repeated")
    for command, what in ((blame, "task"), (rejects, "reason")):
        command.add_argument(
            "--rows", type=at_least(0), default=2, metavar="N", help=f"rows to name of each {what} (2)"
        )
    log = add(commands, "log", _log, "the history of the dataset over commits")
    log.add_argument("revision", nargs="?", default="HEAD", help="up to this commit (default: HEAD)")
    log.add_argument("-n", "--max-count", type=at_least(1), default=20, metavar="N", help="at most so many (20)")
    for command in (why, blame, rejects, log):
        command.add_argument("--json", action="store_true", help="for machines")


def _diff(arguments: argparse.Namespace) -> int:
    from orca2.diff.diff import diff
    from orca2.diff.output import Shifts, as_json, as_markdown, as_text
    from orca2.diff.page import as_html
    from orca2.project.revisions import Revision

    _require_project()
    before, after = Revision(arguments.before), Revision(arguments.after)
    shown = arguments.rows if arguments.rows is not None else _SHOWN[arguments.format]
    found = diff(before, after, arguments.stage, arguments.where, 0 if arguments.stat else shown)
    shifts = Shifts.of(found, before, after)
    writers = {
        "text": as_text,
        "markdown": as_markdown,
        "html": as_html,
        "json": lambda *result: _json(as_json(*result)),
    }
    text = writers[arguments.format](found, shifts)
    _write(text, arguments.output or (Path("diff.html") if arguments.format == "html" else None))
    return 1 if found.differs else 0


def _why(arguments: argparse.Namespace) -> int:
    from orca2.audit.why import why
    from orca2.audit.why_output import as_text
    from orca2.project.revisions import Revision
    from orca2.store.root import default_root

    _require_project()
    story = why(Revision(arguments.rev), arguments.row, default_root())
    _write(_json(story) if arguments.json else as_text(story), None)
    return 0


def _blame(arguments: argparse.Namespace) -> int:
    from orca2.audit.blame import blame, unbuilt
    from orca2.core.text import aligned

    _require_project()
    found = blame(arguments.template, examples=arguments.rows)
    _tell_uncounted(unbuilt())
    if arguments.json:
        _write(_json([dataclasses.asdict(row) for row in found]), None)
        return 0
    header = (
        "split",
        "template",
        "task",
        "asked under",
        "requests",
        "answered",
        "right",
        "in dataset",
        "tokens",
        "rows",
    )
    lines = [
        (
            row.split,
            row.template,
            row.task,
            row.strategy,
            f"{row.requests:,}",
            _count(row.answered),
            _count(row.right) + ("" if row.right is None else f" ({100 * row.right / row.requests:.0f} %)"),
            _count(row.in_dataset),
            "-" if row.tokens is None else f"{row.tokens:.1f}",
            " ".join(example[:12] for example in row.examples),
        )
        for row in found
    ]
    print("\n".join(aligned([header, *lines], left=4)) if lines else "no request came from it")
    return 0


def _rejects(arguments: argparse.Namespace) -> int:
    from orca2.audit.rejects import rejects, stale, unbuilt
    from orca2.core.text import aligned, printable

    _require_project()
    found = rejects(stages=arguments.stage, examples=arguments.rows)
    _tell_uncounted([] if arguments.stage else unbuilt())
    if old := [stage for stage in stale() if not arguments.stage or stage in arguments.stage]:
        print(f"stale, and counted as they lie here: {', '.join(old)}", file=sys.stderr)
    if arguments.json:
        _write(_json([dataclasses.asdict(reason) for reason in found]), None)
        return 0
    table = aligned([(r.stage, r.reason, r.task, f"{r.rows:,}") for r in found], left=3)
    for line, reason in zip(table, found, strict=True):
        print(line)
        for row_id, detail in reason.examples:
            print(f"    {row_id[:12]}  {printable(detail[:_DETAIL])}".rstrip())
    print(f"{sum(reason.rows for reason in found):,} rows rejected")
    return 0


def _log(arguments: argparse.Namespace) -> int:
    from orca2.audit.log import history
    from orca2.core.text import aligned, printable

    _require_project()
    versions = list(history(arguments.revision, arguments.max_count))
    if arguments.json:
        _write(_json([dataclasses.asdict(version) for version in versions]), None)
        return 0
    header = ("commit", "date", "dataset", "strategies", "rows", "tasks", "student", "teacher")
    lines = [
        (
            v.commit,
            v.date,
            v.digest[:8] or "-",
            ", ".join(f"{name} {count}" for name, count in v.strategies.items()) or "-",
            _count(v.rows),
            _count(v.tasks),
            _percent(v.student),
            _percent(v.teacher),
        )
        for v in versions
    ]
    subjects = ["", *(printable(v.subject + (f" [{v.problem}]" if v.problem else "")) for v in versions)]
    table = aligned([header, *lines], left=4)
    print("\n".join(f"{line}  {subject}".rstrip() for line, subject in zip(table, subjects, strict=True)))
    return 0


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _tell_uncounted(absent: list[str]) -> None:
    if absent:
        print(f"not built, and so not counted: {', '.join(absent)}", file=sys.stderr)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _require_project() -> None:
    from orca2.core.errors import Orca2Error

    if not Path("dvc.yaml").is_file():
        raise Orca2Error("is no orca2 project: it has no dvc.yaml", str(Path.cwd()), "run this in the project's folder")


def _write(text: str, file: Path | None) -> None:
    if file is None:
        sys.stdout.write(text)
        return
    from orca2.core.errors import Orca2Error

    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise Orca2Error(
            f"cannot be written: {error.strerror}", str(file), "name another file with --output"
        ) from error
    print(f"wrote {file}", file=sys.stderr)
