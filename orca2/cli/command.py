"""One command of the command line: its name, its words, and what it runs."""

import argparse
import sys
from collections.abc import Callable
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What `add_subparsers` gives: what commands are added to."""
WORK = 3
"""The exit status of `orca2 plan` when a rebuild would do something."""
DECLINED = 4
"""The exit status when a person was asked and did not agree."""


def add(commands: Commands, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """Add a command; `run` takes the parsed arguments and returns the exit status, 1 is that of an error.

    A command that compares says 1 for a difference and puts the status of an error, 2, into `trouble`. The README lists
    them all.
    """
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run, trouble=1)
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument: a whole number of at least this."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise ValueError
        return value

    number.__name__ = f"whole number of at least {least}"
    return number


def agreed(question: str) -> bool:
    """Ask a person; without one to ask, the answer is no."""
    return sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
