"""What `orca2 init` writes: a project of the user's own.

The tool's repository is a project itself, and its own pipeline, stages and templates are what ships: there is no second
copy of them. An example under `examples/` is what it has of its own: sections of params.yaml, questions, templates.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import orca2
from orca2.core.errors import Orca2Error, raise_all
from orca2.project import git

EMBEDDED = "embedded"
"""The example that the tool's own repository is."""
EXAMPLES = (EMBEDDED, "gsm8k", "quiz")
RECORD = ".orca2-project.yaml"
_TOOL = (".dvc/", ".git", "dvc.yaml", "stages/")
_ALWAYS = (".gitattributes", ".gitignore", ".dvc/plots/*.json", "stages/*.py", "templates/[sj]*/*.j2")


def shipped() -> Path:
    """The folder of what ships: inside the installed package, or the repository that the tool runs from."""
    package = Path(orca2.__file__).parent
    return next(folder for folder in (package / "shipped", package.parent) if (folder / "dvc.yaml").is_file())


def project_files(example: str) -> dict[str, bytes]:
    """The content of every file of a new project, by its path."""
    root = shipped()
    own = root if example == EMBEDDED else root / "examples" / example
    params = (root / "params.yaml").read_text("utf-8")
    if example != EMBEDDED:
        params = with_sections(params, (own / "params.yaml").read_text("utf-8"))
    sources = yaml.safe_load(params)["tasks"]["sources"]
    files = {str(file.relative_to(root)): file.read_bytes() for pattern in _ALWAYS for file in root.glob(pattern)}
    for name in sorted(_template_folders(sources)):
        files |= {str(file.relative_to(own)): file.read_bytes() for file in own.glob(f"templates/tasks/{name}/*.j2")}
    pipeline = (root / "dvc.yaml").read_text("utf-8")
    for source in sources.values():
        if (own / source["name"]).is_file():
            files[source["name"]] = (own / source["name"]).read_bytes()
            pipeline = watching(pipeline, "prepare_tasks", source["name"])
    return files | {"dvc.yaml": pipeline.encode(), "params.yaml": params.encode()}


def _template_folders(sources: Mapping[str, Any]) -> set[str]:
    """The folders of `templates/tasks` that a task or category uses: those of unknown ones are an error."""
    return {s.get("task") or name for name, s in sources.items()} | {s["category"] for s in sources.values()}


def with_sections(params: str, sections: str) -> str:
    """The text of params.yaml with some of its sections replaced, comments and all."""
    for name, section in _sections(sections).items():
        params = params.replace(_sections(params)[name], section)
    return params


def _sections(text: str) -> dict[str, str]:
    """The text of each section by its name: its first line, and the indented lines under it."""
    return {
        found[1]: found[0] for found in re.finditer(r"^(\w+):.*\n(?:(?:[ \t]+.*)?\n(?=[ \t])|[ \t]+.*\n)*", text, re.M)
    }


def watching(pipeline: str, stage: str, path: str) -> str:
    """The text of dvc.yaml in which one stage also depends on a path.

    Raises:
        Orca2Error: it has no such stage, or its deps stand in one line.
    """
    lines = rf"^  {stage}:\n(?:    .*\n)*?"
    text, found = re.subn(rf"{lines}    deps:\n", rf"\g<0>      - {path}\n", pipeline, count=1, flags=re.MULTILINE)
    if not found and not re.search(rf"{lines}    deps:", pipeline, flags=re.MULTILINE):
        new = rf"\g<0>    deps:\n      - {path}\n"
        text, found = re.subn(rf"{lines}    cmd: .*\n", new, pipeline, count=1, flags=re.MULTILINE)
    if not found:
        raise Orca2Error(f"has no deps of {stage} to add to", "dvc.yaml", f"add `- {path}` to them by hand")
    return text


def missing_templates(root: Path) -> dict[str, bytes]:
    """Templates that stages depend on and that a project from before there were such has no folder for."""
    files = {str(file.relative_to(shipped())): file.read_bytes() for file in shipped().glob("templates/judge/*.j2")}
    return {name: content for name, content in files.items() if not (root / name).parent.is_dir()}


def tool_files(example: str) -> dict[str, bytes]:
    """The files of a new project that an upgrade may renew; what the dataset is, stays as its owner has it."""
    return {name: content for name, content in project_files(example).items() if name.startswith(_TOOL)}


def record_of(example: str, files: Mapping[str, str]) -> bytes:
    """The text of the record: what was written, by git's ids, so that an upgrade knows what was edited since."""
    title = "# As `orca2 init` or `orca2 upgrade` wrote them. Keep it in git: it tells what you have edited.\n"
    return (title + yaml.safe_dump({"example": example, "files": dict(files)}, sort_keys=True)).encode()


def init(folder: Path, example: str) -> list[str]:
    """Write a project, and make it known to git and DVC where it is not; the files that were written.

    May be run again after it was interrupted: a file that is there as it would be written is left as it is.

    Raises:
        InputErrors: files that are there and differ; nothing is written then.
    """
    ids = {name: git.blob_id(content) for name, content in tool_files(example).items()}
    files = project_files(example) | {RECORD: record_of(example, ids)}
    raise_all(
        Orca2Error("is there already", str(folder / name), "nothing was written; name an empty folder")
        for name, content in files.items()
        if (folder / name).exists() and not _holds(folder / name, content)
    )
    folder.mkdir(parents=True, exist_ok=True)
    if git.common_folder(folder) is None:
        git.output(folder, "init", "--quiet")
    _init_dvc(folder)
    written = [name for name, content in files.items() if not _holds(folder / name, content)]
    for name in written:
        write(folder / name, files[name])
    return written


def _holds(file: Path, content: bytes) -> bool:
    return file.is_file() and file.read_bytes() == content


def write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.tmp")
    unfinished.write_bytes(content)
    unfinished.replace(file)


def _init_dvc(folder: Path) -> None:
    if (folder / ".dvc" / "config").is_file():
        return
    top = Path(os.fsdecode(git.output(folder, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    below = [] if top.resolve() == folder.resolve() else ["--subdir"]
    command = [sys.executable, "-m", "dvc", "init", "--quiet", "--force", *below]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Orca2Error(f"DVC says: {done.stderr.strip()}", str(folder), "mend what it says, then run this again")
