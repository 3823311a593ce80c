"""A model's folder: whether it is whole, and the digest of what in it decides an answer.

What counts is weights, config, tokenizer and chat template, whatever else lies beside them; see docs/identity.md. The
digest of a file is remembered while the file stays as it is, so that weights are read once and not at every step.
"""

import json
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.folders import cache_folder
from orca2.core.hashing import SCHEME, digest, file_digest
from orca2.core.memo import Memo

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
CONFIG_FILES = ("config.json", "generation_config.json", "tokenizer_config.json")
PATTERNS = (
    *WEIGHTS,
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
)
"""The files that decide an answer."""
_CIRCUMSTANCES = ("transformers_version", "local_files_only", "is_local", "name_or_path")
"""What Transformers writes into a configuration about how a model was saved or loaded: it differs between machines."""
_JSON_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


def model_digest(folder: Path) -> str:
    """Digest of everything in the folder that decides an answer. Errors as of `content_digests`."""
    return digest_of(content_digests(folder))


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of a model whose files have these."""
    return digest("model", dict(files))


def content_digests(folder: Path) -> dict[str, str]:
    """By name, the digest of each file in the folder that decides an answer.

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
    files = sorted({file for pattern in PATTERNS for file in folder.glob(pattern) if file.is_file()})
    with Memo(cache_folder() / "model_files.json", f"{SCHEME}") as memo:
        return {file.name: memo.of(file, partial(_content_digest, file)) for file in files}


def _content_digest(file: Path) -> str:
    """Of a file's bytes; of a configuration's content, without the circumstances it was saved in."""
    if file.name not in CONFIG_FILES:
        return file_digest(file)
    # As text, because configurations may hold infinities, which are no plain data.
    return digest("model config", json.dumps(essence(file), sort_keys=True))


def essence(file: Path) -> dict[str, object]:
    """A configuration without what says how it was saved."""
    return {name: value for name, value in _parsed(file).items() if name not in _CIRCUMSTANCES}


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
