"""What a git revision, a DVC experiment or the workspace holds, read without a checkout.

Files that git tracks come from git. Artifacts come from the DVC cache, by the digests in the `dvc.lock` of that
revision; what the cache lacks is fetched into it from the DVC remote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.tables import arrow_schema, shard_of
from orca2.core.text import printable
from orca2.project import cells, git
from orca2.project.artifacts import STEPS, Artifact
from orca2.project.dvc_files import LOCK_FILE, Built, dvc_repository, overlap, read_lock
from orca2.project.shards import shard_names

if TYPE_CHECKING:
    import pyarrow as pa
    from dvc.repo import Repo

WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One shard of an artifact, wherever it lies."""

    name: str
    """Inside the artifact, such as `rows-00-of-04.parquet`."""
    rows: Path
    digests: Path | None
    """None where the artifact was written without."""
    md5: str
    """Of the rows, as DVC knows it; empty in the workspace."""

    def read(self, columns: Sequence[str] | None = None, filters: list[tuple[str, str, str]] | None = None) -> pa.Table:
        """Its rows as an Arrow table: all columns or some, all rows or those that pass Parquet filters.

        Raises:
            Orca2Error: the file is missing or spoilt; so for the two methods below.
        """
        import pyarrow.parquet as pq

        with _readable(self.rows):
            names = list(columns) if columns else None
            if names and filters is None:
                # Far less ado than a data set of one file, which tells where there are thousands of shards.
                with pq.ParquetFile(self.rows, memory_map=True) as file:
                    if set(names) <= set(file.schema_arrow.names):
                        return file.read(names, use_threads=False)
            return pq.read_table(self.rows, columns=names, filters=filters, partitioning=None)

    def read_digests(self) -> pa.Table:
        """The digests of its cells (see `cells.read`)."""
        with _readable(self.rows):
            return cells.read(self.digests, self.rows)

    def count_rows(self) -> int:
        """How many rows it has, by its footer."""
        import pyarrow.parquet as pq

        with _readable(self.rows):
            return int(pq.read_metadata(self.rows).num_rows)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException, KeyError) as error:
        hint = "run `dvc checkout --force` (workspace), or remove it and run `dvc fetch --all-commits` (cache)"
        raise Orca2Error(f"cannot be read: {error}", str(file), hint) from error


class _File(NamedTuple):
    path: Path
    md5: str


class Revision:
    """One revision of the project whose `dvc.yaml` lies in `root`.

    Args:
        name: what git calls a commit, the name of a DVC experiment, or `workspace`.

    Raises:
        Orca2Error: there is no such revision.
    """

    def __init__(self, name: str, root: Path = Path()) -> None:
        self.name = name
        self.root = root
        self.commit = "" if name == WORKSPACE else _commit(name, root)

    def __str__(self) -> str:
        return self.name if not self.commit or self.commit.startswith(self.name) else f"{self.name} ({self.commit[:7]})"

    def text(self, path: str) -> str | None:
        """A file that git tracks; None when this revision has none."""
        if not self.commit:
            file = self.root / path
            return self._decoded(file.read_bytes(), path) if file.is_file() else None
        (content,) = git.contents(self.root, [f"{self.commit}:./{path}"])
        return None if content is None else self._decoded(content, path)

    def _decoded(self, content: bytes, path: str) -> str:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Orca2Error(f"is not UTF-8: {error.reason}", f"{path} of {self}", "save it as UTF-8") from error

    def export(self, path: str, folder: Path) -> Path:
        """A folder that git tracks, as it is in this revision: itself in the workspace, else a copy under `folder`."""
        if not self.commit:
            return self.root / path
        entries = git.files(self.root, self.commit, f"./{path}")
        raise_all(self._not_a_file(entry) for entry in entries if not _is_plain(entry))
        for entry, content in zip(entries, git.contents(self.root, [entry.oid for entry in entries]), strict=True):
            (folder / entry.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / entry.name).write_bytes(content or b"")
        return folder / path

    def _not_a_file(self, entry: git.Entry) -> Orca2Error:
        where = f"{printable(entry.name)} of {self}"
        return Orca2Error("is a link, a submodule or no name inside the project", where, "put the file itself there")

    @cached_property
    def locked(self) -> dict[str, Built]:
        """The stages of this revision's `dvc.lock`.

        Raises:
            Orca2Error: it is torn.
        """
        return read_lock(self.text(str(LOCK_FILE)), f"{LOCK_FILE} of {self}")

    @cached_property
    def outs(self) -> dict[str, str]:
        """Digest of every out that this revision's `dvc.lock` names, by path; a folder's ends in `.dir`."""
        return {path: md5 for stage in self.locked.values() for path, md5 in stage.outs.items()}

    def built_with(self, step: str) -> dict[str, Any]:
        """The parameters that a step was taken with, by section, as `dvc.lock` has them; none when it never was.

        The stage that took it is known by what it made, or else by its name.
        """
        makers = (built for built in self.locked.values() if STEPS.get(step) in built.outs)
        built = next(makers, self.locked.get(step))
        return dict(built.params.get("params.yaml", {})) if built else {}

    def shards(self, artifact: str) -> tuple[Shard, ...]:
        """The shards of an artifact in order; none when this revision is from before there was one.

        Raises:
            InputErrors: files that are neither in the DVC cache nor in the remote, or not in the workspace.
        """
        files = self.files(artifact)
        # `rows-9-of-128` before `rows-10-of-128`.
        names = sorted((name for name in files if name.endswith(".parquet")), key=lambda name: (len(name), name))
        self._require_complete(artifact, names)
        return tuple(
            Shard(
                name=name,
                rows=files[name].path,
                digests=_path(files, cells.beside(Path(name)).name),
                md5=files[name].md5,
            )
            for name in names
        )

    def _require_complete(self, artifact: str, names: Sequence[str]) -> None:
        if (self.outs.get(artifact) and not names) or (names and set(names) != set(shard_names(len(names)))):
            hint = "run `dvc checkout --force` or `dvc repro`"
            raise Orca2Error("its shards are not one complete set", f"{artifact} of {self}", hint)

    def holds(self, artifact: Artifact[object]) -> bool:
        """Whether this revision has it: a commit in its `dvc.lock`, the workspace on disk."""
        if not self.commit:
            return (self.root / artifact.folder).is_dir()
        return any(overlap(artifact.folder, out) for out in self.outs)

    def table(self, artifact: Artifact[object], columns: Sequence[str] | None = None, row_id: str = "") -> pa.Table:
        """The rows of an artifact as an Arrow table, or those of one row id; no rows where this revision holds none.

        Args:
            artifact: which.
            columns: some of its columns; None is all.
            row_id: of one question; empty is all rows.

        Raises:
            Orca2Error: a file is missing or spoilt.
        """
        import pyarrow as pa

        shards = self.shards(artifact.folder) if self.holds(artifact) else ()
        if row_id and shards:
            shards = (shards[shard_of(row_id, len(shards))],)
        wanted = [("row_id", "=", row_id)] if row_id else None
        row_type: type = artifact.row_type
        schema = arrow_schema(row_type)
        none = pa.schema([schema.field(name) for name in columns or schema.names]).empty_table()
        return pa.concat_tables([shard.read(columns, wanted) for shard in shards]) if shards else none

    def file(self, path: str) -> Path | None:
        """One file of an artifact; None when this revision has none."""
        if not self.commit:
            return file if (file := self.root / path).is_file() else None
        folder, _, name = path.rpartition("/")
        return _path(self.files(folder, name), name)

    def files(self, artifact: str, only: str = "") -> Mapping[str, _File]:
        """The files of an artifact, or `only` one of them, by name."""
        out = next((out for out in self.outs if f"{artifact}/".startswith(f"{out}/")), None)
        if not self.commit:
            folder = self.root / artifact
            if not folder.is_dir() and out is not None:
                raise Orca2Error("is not in the workspace", artifact, f"run `dvc checkout {out}` or `dvc repro`")
            return {file.name: _File(file, "") for file in folder.glob(only or "*") if file.is_file()}
        if out is None or not self.outs[out].endswith(".dir"):
            return {}
        self._require({out: self.outs[out]})
        listing = self._cached(self.outs[out])
        try:
            paths = {f"{out}/{entry['relpath']}": entry["md5"] for entry in json.loads(listing.read_text("utf-8"))}
        except (ValueError, KeyError, TypeError) as error:
            hint = f"remove {listing}, then run `dvc fetch --all-commits`"
            raise Orca2Error(f"its listing in the DVC cache is torn: {error}", f"{out} of {self}", hint) from error
        inside = {path: md5 for path, md5 in paths.items() if path.rpartition("/")[0] == artifact}
        if only:
            inside = {path: md5 for path, md5 in inside.items() if path == f"{artifact}/{only}"}
        self._require(inside)
        return {path.rpartition("/")[2]: _File(self._cached(md5), md5) for path, md5 in inside.items()}

    @cached_property
    def _repository(self) -> Repo:
        with dvc_repository(self.root) as repository:
            return repository

    def _cached(self, md5: str) -> Path:
        return Path(self._repository.cache.local.oid_to_path(md5))

    def _require(self, files: Mapping[str, str]) -> None:
        """Have every one of these in the DVC cache, from the remote where need be."""
        missing = {path: md5 for path, md5 in files.items() if not self._cached(md5).is_file()}
        why = self._fetch(list(missing.values())) if missing else ""
        raise_all(
            Orca2Error(
                f"is neither in the DVC cache nor in the remote{why}",
                f"{path} of {self}",
                "run `dvc push` where it was built, then `dvc fetch --all-commits` here",
            )
            for path, md5 in missing.items()
            if not self._cached(md5).is_file()
        )

    def _fetch(self, wanted: list[str]) -> str:
        """Fetch what the remote has; why that could not be tried, else nothing."""
        from dvc.config import NoRemoteError
        from dvc.exceptions import DvcException
        from dvc_data.hashfile.hash_info import HashInfo

        try:
            self._repository.cloud.pull([HashInfo("md5", md5) for md5 in wanted])
        except NoRemoteError:
            return " (there is none)"
        except (DvcException, OSError, ImportError) as error:
            return f" ({error})"
        return ""


def _path(files: Mapping[str, _File], name: str) -> Path | None:
    return files[name].path if name in files else None


def _is_plain(entry: git.Entry) -> bool:
    """Whether this is a file, under a name that stays inside the folder it is written to."""
    parts = PurePosixPath(entry.name).parts
    return entry.mode.startswith("100") and not entry.name.startswith("/") and ".." not in parts


def _commit(name: str, root: Path) -> str:
    if found := git.resolve(root, name):
        return found
    refs = git.lines(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps")
    experiments = {ref.split(" ", 1)[1].rsplit("/", 1)[-1]: ref.split(" ", 1)[0] for ref in refs}
    if name in experiments:
        return experiments[name]
    shallow = git.lines(root, "rev-parse", "--is-shallow-repository") == ["true"]
    hint = "this is a shallow clone: run `git fetch --unshallow`, or " if shallow else ""
    raise Orca2Error("no such revision", name, f"{hint}name a commit, branch, tag, DVC experiment or `{WORKSPACE}`")
