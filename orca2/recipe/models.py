"""Models: named by a reference, locked by a digest of their content (docs/design.md, 6), and never copied.

A reference is `package:smollm2-135m-instruct` (weights carried by an installed package), `hub:OWNER/NAME@COMMIT` (the
hub at a pinned commit), `path:FOLDER`, or `student:NAME`, a student of this project from before (see
`training.earlier`). `models/models.json` locks what each role's reference held when it was prepared, and
`models/compared.json` that of models that are only examined; neither says where: weights stay in their own folder, in
the hub's cache, or, where a package's had to be dequantised, in this machine's cache; a reader finds them there again,
or has them made or fetched. The digest covers what decides an answer (see `model_files`), never a path or a name.
Remote code and pickled weights stay unread.

A teacher may also be `http:NAME@REVISION`, a model behind an endpoint. Nobody can look inside it, so its identity is
the name that the endpoint knows, and a revision that the user declares and changes when the endpoint's answers do.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.core.folders import student_folder
from orca2.core.hashing import digest
from orca2.core.model_files import content_digests, digest_of
from orca2.core.model_files import model_digest as model_digest
from orca2.recipe.model_folders import folder_of, obtain, packaged_file

PREPARED = Path("models/models.json")
COMPARED = Path("models/compared.json")
_REFERENCE = re.compile(
    r"package:[\w.-]+|hub:[\w.-]+/[\w.-]+@[0-9a-f]{40}|path:.+|student:(?:[0-9a-f]{40}|[0-9a-f]{64})|http:(?!//)\S+@[^\s@]+"
)
_NAME = re.compile(r"(?!(?:base|teacher|techniques|roles|benchmarks|student.*)$)[a-z][a-z0-9_]*")
"""Of a model that is compared: none of a role of the recipe, nor of another part of an evaluation's result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """The models of the recipe, and those that are examined beside them."""

    teacher: str
    """Reference of the model that answers under the detailed instruction."""
    student: str
    """Reference of the model that is fine-tuned; it is also the base of the evaluation."""
    judge: str = ""
    """Reference of the model that judges answers to questions with a `grader: judge:TEMPLATE`."""
    compared: dict[str, str] = field(default_factory=dict)
    """Name to reference of further models to compare the student with, such as a larger base, or last week's student.
    Another one makes nothing but the evaluation run again."""

    def __post_init__(self) -> None:
        kinds = "package:NAME, hub:OWNER/NAME@40-hex-COMMIT, path:FOLDER, student:COMMIT-OR-IDENTITY"
        compared = {f"compared.{name}": reference for name, reference in self.compared.items()}
        for role, reference in (self.references | compared).items():
            also = "" if role == "student" else " or http:NAME@REVISION"
            if not _REFERENCE.fullmatch(reference):
                raise ValueError(f"{role}: {reference!r} is not {kinds}{also}")
        for name in self.compared:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"compared: {name!r} is a role of its own, or holds more than small letters, 0-9 and _"
                )
        if self.student.startswith("http:"):
            raise ValueError(f"student: {self.student!r} cannot be fine-tuned: it needs weights, so {kinds}")

    @property
    def references(self) -> dict[str, str]:
        """Of the models of the recipe, by role."""
        named = {"teacher": self.teacher, "student": self.student}
        return named | {"judge": self.judge} if self.judge else named

    @property
    def all_references(self) -> list[str]:
        """Of all models, each once."""
        return sorted({*self.references.values(), *self.compared.values()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that is locked: what it is, and where it lies on this machine or will."""

    folder: Path | None
    """None for a model behind an HTTP endpoint."""
    digest: str
    reference: str
    files: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Digest of each file that decides an answer, by name."""

    @property
    def on_disk(self) -> Path:
        """The folder of a model that must have one, made or fetched where it is missing, its content as it was locked.

        Raises:
            Orca2Error: it is behind an HTTP endpoint, cannot be had, or its files are others than those that were
                locked.
        """
        if self.folder is None:
            raise Orca2Error("has no weights here", self.reference, "name a model of another kind in params.yaml")
        if not self.folder.is_dir() or not all((self.folder / name).is_file() for name in self.files):
            obtain(self.reference)
        found = content_digests(self.folder)
        if digest_of(found) != self.digest:
            names = sorted(name for name in {*found, *self.files} if found.get(name) != self.files.get(name))
            problem = f"is not the model that {PREPARED} locks: {', '.join(names)}"
            raise Orca2Error(problem, str(self.folder), _mend(self.reference, self.folder))
        return self.folder


def prepare(reference: str) -> Model:
    """Find the model that `reference` names, made or fetched where need be, check it and take its digest.

    A model behind an HTTP endpoint is only digested.

    Raises:
        Orca2Error: it cannot be had, or is not whole.
    """
    if reference.startswith("http:"):
        return _behind_http(reference)
    return _locked(reference, obtain(reference))


def from_folder(folder: Path) -> Model:
    """A model that the pipeline itself made, digested where it lies."""
    return _locked(f"path:{folder}", folder)


def identify(reference: str) -> str | None:
    """The digest that `prepare` would give, where it can be known without preparing.

    None for `package:` and `hub:`, and for a `student:` that was not brought to this machine.
    """
    kind, _, name = reference.partition(":")
    if kind == "http":
        return _behind_http(reference).digest
    if kind == "student" and student_folder(name).is_dir():
        return model_digest(student_folder(name))
    return model_digest(Path(name).expanduser()) if kind == "path" else None


def check_reference(reference: str) -> None:
    """Fail early on a reference that can be judged without loading it."""
    kind, _, name = reference.partition(":")
    if kind == "package":
        packaged_file(name)
    elif kind == "path":
        model_digest(Path(name).expanduser())


def write_prepared(models: Mapping[str, Model], file: Path = PREPARED) -> None:
    """Lock the models, by role: the same bytes on every machine."""
    index = {role: {"reference": m.reference, "digest": m.digest, "files": m.files} for role, m in models.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def read_prepared(file: Path = PREPARED) -> dict[str, Model]:
    """The locked models by role; where they lie is found anew, and looked at when they are asked for `on_disk`.

    Raises:
        Orca2Error: `prepare_models` has not run.
    """
    if not file.is_file():
        raise Orca2Error("no prepared models", str(file), "run `dvc repro prepare_models`")
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        return {
            role: Model(
                folder=folder_of(m["reference"]), digest=m["digest"], reference=m["reference"], files=m["files"]
            )
            for role, m in index.items()
        }
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Orca2Error(f"is torn: {error}", str(file), "run `git checkout` or `dvc repro prepare_models`") from error


def read_compared() -> dict[str, Model]:
    """The locked models that are only examined, by name; none where no model was ever prepared for that."""
    return read_prepared(COMPARED) if COMPARED.is_file() else {}


def http_name(reference: str) -> tuple[str, str]:
    """Of `http:NAME@REVISION`: how the endpoint knows the model, and what the user calls its state."""
    name, _, revision = reference.removeprefix("http:").rpartition("@")
    return name, revision


def _behind_http(reference: str) -> Model:
    name, revision = http_name(reference)
    return Model(folder=None, digest=digest("http model", {"name": name, "revision": revision}), reference=reference)


def _locked(reference: str, folder: Path) -> Model:
    files = content_digests(folder)
    return Model(folder=folder, digest=digest_of(files), reference=reference, files=files)


def _mend(reference: str, folder: Path) -> str:
    if reference.startswith(("package:", "student:")):
        return f"remove {folder}: it is made anew; if that is not enough, run `dvc repro -f prepare_models`"
    return "if you changed the model, run `dvc repro prepare_models`, and else bring back its files"
