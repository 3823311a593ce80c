"""The verbs of `orca2 store`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from orca2.cli.command import DECLINED, add, agreed

if TYPE_CHECKING:
    from orca2.store.store import Store


def add_commands(store: argparse.ArgumentParser) -> None:
    """Add the verbs to the parser of `orca2 store`."""
    verbs = store.add_subparsers(required=True, metavar="VERB")
    add(verbs, "stat", _stat, "answers, tokens, bytes, conflicts, engines")
    add(
        verbs, "verify", _verify, "read every byte: digests, checksums, keys; exits 1 if anything is wrong"
    ).set_defaults(trouble=2)
    add(verbs, "compact", _compact, "merge many small files into few")
    gc = add(verbs, "gc", _gc, "remove answers that no branch, tag, experiment or workspace refers to")
    gc.add_argument("--keep-days", type=_days, default=14.0, help="keep answers younger than this (default: 14)")
    gc.add_argument("--yes", action="store_true", help="do not ask")
    for verb, run, what in (("push", _push, "to"), ("pull", _pull, "from")):
        moved = add(verbs, verb, run, f"copy missing answers {what} a folder, an fsspec address or a DVC remote")
        moved.add_argument("address", help="folder, fsspec address such as s3://bucket/answers, or DVC remote name")
    moved.add_argument("--again", action="store_true", help="also what a gc removed here")


def _stat(_: argparse.Namespace) -> int:
    from orca2.store.upkeep import stat

    for name, value in stat(open_store()).items():
        print(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}")
    return 0


def _verify(_: argparse.Namespace) -> int:
    from orca2.core.rows import Request
    from orca2.project.artifacts import ASKING
    from orca2.project.shards import read_rows
    from orca2.store.root import default_root
    from orca2.store.segments import segment_files
    from orca2.store.upkeep import verify

    asked = [request for artifact in ASKING if artifact.path.is_dir() for request in read_rows(artifact.path, Request)]
    held = len(segment_files(default_root()))
    problems = verify(default_root(), asked)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"orca2 store verify: {held} segments, {len(asked)} requests, {len(problems)} problems")
    return 1 if problems else 0


def _compact(_: argparse.Namespace) -> int:
    from orca2.store.compaction import compact

    store = open_store()
    fewer = compact(store)
    print(f"orca2 store compact: {len(store.segments)} segments, {fewer} fewer")
    return 0


def _gc(arguments: argparse.Namespace) -> int:
    from orca2.project.git import main_repository
    from orca2.store.garbage import garbage, remove_garbage
    from orca2.store.needed import needed_keys

    repository = main_repository()
    needed, names = needed_keys(repository)
    store = open_store()
    found = garbage(store, needed, arguments.keep_days)
    print(f"needed by the workspace and by: {', '.join(names)}")
    if not store.root.resolve().is_relative_to(repository.resolve()):
        print(f"{store.root} lies outside {repository}: what other repositories need of it is not known")
    print(f"to keep: {found.kept:,} answers, {found.young:,} of them only because they are young")
    print(f"to remove: {found.answers:,} answers, {found.tokens:,} generated tokens")
    if not found.answers:
        return 0
    if not arguments.yes and not agreed("remove them?"):
        print("nothing removed")
        return DECLINED
    remove_garbage(store, found)
    print(f"removed {found.answers:,} answers")
    return 0


def _push(arguments: argparse.Namespace) -> int:
    from orca2.store.root import default_root
    from orca2.store.sync import push

    moved, there = push(default_root(), arguments.address)
    print(f"orca2 store push: {moved} segments copied, {there} were there")
    return 0


def _pull(arguments: argparse.Namespace) -> int:
    from orca2.store.root import default_root
    from orca2.store.sync import pull

    moved, here = pull(default_root(), arguments.address, again=arguments.again)
    print(f"orca2 store pull: {moved} segments copied, {here} were here or removed; {len(open_store())} answers")
    return 0


def open_store() -> Store:
    """The store of this project."""
    from orca2.store.root import default_root
    from orca2.store.store import Store

    return Store(default_root())


def _days(text: str) -> float:
    """A number of days."""
    if not 0 <= (days := float(text)) <= 36_500:
        raise ValueError
    return days
