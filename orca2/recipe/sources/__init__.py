"""Where questions come from: one module a kind of source, which know nothing of each other, and the registry of them.

A further kind is a module with a `KIND` in it and its line in `KINDS`; one of the user's own is named by import path.
What is common to all stands beside them: a source is read (`reading`), and each of its rows becomes a question
(`questions`) by a template (`columns`), with its options (`options`), its known answers (`answers`) and where it comes
from (`origin`). Splits and duplicates are in `recipe.tasks`.
"""

from dataclasses import dataclass

from orca2.core.errors import Orca2Error, require
from orca2.core.hashing import derive_seed
from orca2.core.plugins import is_import_path, load
from orca2.recipe.sources import files, hub, reasoning_gym
from orca2.recipe.sources.base import Kind, Source
from orca2.recipe.sources.reading import Reading, read_rows

KINDS: dict[str, Kind] = {
    "reasoning_gym": reasoning_gym.KIND,
    "file": files.KIND,
    "hub": hub.KIND,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig(Source):
    """One entry of `tasks.sources`, sound by the rules of its kind."""

    def __post_init__(self) -> None:
        Source.__post_init__(self)
        if not is_import_path(self.kind):
            known = (
                f"kind: {self.kind!r} is not one of {', '.join([*KINDS, 'datasets'])}, nor MODULE:READER of your own"
            )
            require({known: _built_in(self) in KINDS})
            require(KINDS[_built_in(self)].rules(self))

    @property
    def is_local(self) -> bool:
        """Whether the questions lie in files here."""
        return not is_import_path(self.kind) and KINDS[_built_in(self)].is_file

    @property
    def watched(self) -> str:
        """What DVC must watch where they do: a file, or the folder that holds them."""
        return files.watched(self.name)


def kind_of(name: str, source: Source) -> Kind:
    """The kind of the source of this name.

    Raises:
        Orca2Error: it is one of the user's own, and cannot be imported or called.
    """
    if not is_import_path(source.kind):
        return KINDS[_built_in(source)]
    where = f"params.yaml: tasks.sources.{name}.kind"
    reader = load(source.kind, where)
    if not callable(reader):
        raise Orca2Error(f"{source.kind!r} cannot be called", where, "name a function (name, source, seed) -> records")
    return Kind(read=reader)


def read_source(name: str, source: Source, seed: int) -> Reading:
    """The questions of the source of this name, in its own order, and what it leaves out.

    Raises:
        InputErrors: it cannot be read, or everything wrong with its rows, where too many of them are bad.
    """
    kind, own_seed = kind_of(name, source), derive_seed(seed, source.kind, name)
    records, where = kind.read(name, source, own_seed), _where(name, source)
    return read_rows(name, source, records, where, seed, may_be_empty=kind.may_be_empty)


def _built_in(source: Source) -> str:
    """The registered kind; `datasets` stands for two of them, told apart by what the name looks like."""
    if source.kind != "datasets":
        return source.kind
    return "file" if files.is_local_name(source.name) else "hub"


def _where(name: str, source: Source) -> str:
    kind = "" if is_import_path(source.kind) else _built_in(source)
    known = {"file": source.name, "hub": f"{source.name}@{source.revision}"}
    return known.get(kind, f"params.yaml: tasks.sources.{name}")
