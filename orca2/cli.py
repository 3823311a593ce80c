"""The `orca2` command: parse, call, print."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from orca2.errors import exit_on_error


def main() -> None:
    """Entry point of the `orca2` console script."""
    exit_on_error(_main)


def _main() -> int:
    arguments = _parser().parse_args()
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="orca2", description="Build training data by the Orca 2 recipe.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "check", _check, "look at parameters, templates, sources and models before anything runs")
    plan = _add(commands, "plan", _plan, "what `dvc repro` would run, generate and cost, and why; exits 2 if anything")
    plan.add_argument("--json", action="store_true", help="for machines, every request by its key")
    plan.add_argument("--max-new-tokens", type=int, metavar="N", help="fail if a stage could generate more than this")
    verify = _add(commands, "verify", _verify, "rebuild and compare: from the stored answers, or by asking again")
    kind = verify.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--replay", action="store_true", help="from the store alone, every artifact up to pack, to the byte"
    )
    kind.add_argument(
        "--regenerate", action="store_true", help="ask the teacher again, in another order and batch size"
    )
    verify.add_argument("--sample", default="1%", help="share of the requests to ask again (default: 1%%)")
    store = commands.add_parser("store", help="the teacher's answers: what is there, is it sound, share it")
    verbs = store.add_subparsers(required=True, metavar="VERB")
    _add(verbs, "stat", _store_stat, "answers, tokens, bytes, conflicts, engines")
    _add(verbs, "verify", _store_verify, "read every byte: digests, checksums, keys")
    _add(verbs, "compact", _store_compact, "merge many small files into few")
    gc = _add(verbs, "gc", _store_gc, "remove answers that no branch, tag, experiment or workspace refers to")
    gc.add_argument("--keep-days", type=_days, default=14.0, help="keep answers younger than this (default: 14)")
    gc.add_argument("--yes", action="store_true", help="do not ask")
    for verb, run, what in (("push", _store_push, "to"), ("pull", _store_pull, "from")):
        moved = _add(verbs, verb, run, f"copy missing answers {what} a folder, an fsspec address or a DVC remote")
        moved.add_argument("address", help="folder, fsspec address such as s3://bucket/answers, or DVC remote name")
    moved.add_argument("--again", action="store_true", help="also what a gc removed here")
    return parser


def _add(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _check(_: argparse.Namespace) -> int:
    from orca2.check import check

    check()
    print("orca2 check: nothing wrong", file=sys.stderr)
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    import json

    from orca2.plan import make_plan, require_budget
    from orca2.plan_output import as_json, as_text

    plan = make_plan(_store(), arguments.max_new_tokens)
    print(json.dumps(as_json(plan), indent=2) if arguments.json else as_text(plan), end="")
    require_budget(plan)
    return 2 if plan.has_work else 0


def _verify(arguments: argparse.Namespace) -> int:
    return _replay() if arguments.replay else _regenerate(arguments.sample)


def _replay() -> int:
    from orca2.verify import replay

    failed = 0
    for replayed in replay(_store()):
        failed += bool(replayed.differing)
        same = "as dvc.lock says" if not replayed.differing else f"differs: {', '.join(replayed.differing)}"
        print(f"{replayed.stage:18} {same}", flush=True)
    print(f"orca2 verify --replay: {'every artifact is identical' if not failed else f'{failed} stages differ'}")
    return 1 if failed else 0


def _regenerate(share: str) -> int:
    from pathlib import Path

    from orca2 import config, models
    from orca2.generation import GenerationConfig
    from orca2.rows import Example, Generation, Request
    from orca2.shards import read_rows
    from orca2.verify import regenerate, sample

    params = config.load(cluster={"generation": GenerationConfig})
    stored = read_rows(Path("data/generations"), Generation)
    answered = {(row.row_id, row.sample_index) for row in stored}
    asked = read_rows(Path("data/requests"), Request)
    requests = sample([r for r in asked if (r.row_id, r.sample_index) in answered], share)
    examples = read_rows(Path("data/examples"), Example)
    result = regenerate(requests, stored, examples, models.read_index()["teacher"], params.cluster.generation)
    for d in result.differences:
        graded = "the same grade" if d.same_grade else "ANOTHER GRADE"
        row = f"row {d.request.row_id[:12]} of {d.request.task}"
        print(f"{row}: differs from token {d.first_token} of {d.tokens}, {graded}")
    same = result.asked - len(result.differences)
    agree = result.asked - sum(not d.same_grade for d in result.differences)
    print(f"orca2 verify --regenerate: {same} of {result.asked} answers are the same, {agree} have the same grade")
    return 0


def _store_stat(_: argparse.Namespace) -> int:
    from orca2.upkeep import stat

    for name, value in stat(_store()).items():
        print(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}")
    return 0


def _store_verify(_: argparse.Namespace) -> int:
    from orca2.rows import Request
    from orca2.segments import segment_files
    from orca2.shards import read_rows
    from orca2.store import default_root
    from orca2.upkeep import REQUESTS, verify

    asked = [request for folder in REQUESTS if folder.is_dir() for request in read_rows(folder, Request)]
    held = len(segment_files(default_root()))
    problems = verify(default_root(), asked)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"orca2 store verify: {held} segments, {len(asked)} requests, {len(problems)} problems")
    return 1 if problems else 0


def _store_compact(_: argparse.Namespace) -> int:
    from orca2.compaction import compact

    store = _store()
    fewer = compact(store)
    print(f"orca2 store compact: {len(store.segments)} segments, {fewer} fewer")
    return 0


def _store_gc(arguments: argparse.Namespace) -> int:
    from orca2.references import needed_keys
    from orca2.store import main_repository
    from orca2.upkeep import garbage, remove_garbage

    repository = main_repository()
    needed, names = needed_keys(repository)
    store = _store()
    found = garbage(store, needed, arguments.keep_days)
    print(f"needed by the workspace and by: {', '.join(names)}")
    if not store.root.resolve().is_relative_to(repository.resolve()):
        print(f"{store.root} lies outside {repository}: what other repositories need of it is not known")
    print(f"to keep: {found.kept:,} answers, {found.young:,} of them only because they are young")
    print(f"to remove: {found.answers:,} answers, {found.tokens:,} generated tokens")
    if not found.answers:
        return 0
    if not arguments.yes and not _agreed("remove them?"):
        print("nothing removed")
        return 1
    remove_garbage(store, found)
    print(f"removed {found.answers:,} answers")
    return 0


def _store_push(arguments: argparse.Namespace) -> int:
    from orca2.store import default_root
    from orca2.sync import push

    moved, there = push(default_root(), arguments.address)
    print(f"orca2 store push: {moved} segments copied, {there} were there")
    return 0


def _store_pull(arguments: argparse.Namespace) -> int:
    from orca2.store import default_root
    from orca2.sync import pull

    moved, here = pull(default_root(), arguments.address, again=arguments.again)
    print(f"orca2 store pull: {moved} segments copied, {here} were here or removed; {len(_store())} answers")
    return 0


def _store() -> Any:
    from orca2.store import Store, default_root

    return Store(default_root())


def _days(text: str) -> float:
    """A number of days."""
    if not 0 <= (days := float(text)) <= 36_500:
        raise ValueError
    return days


def _agreed(question: str) -> bool:
    """Ask a person; without one to ask, the answer is no."""
    return sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    main()
