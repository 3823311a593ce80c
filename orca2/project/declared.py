"""What a stage reads from outside the project must be among its `deps` in dvc.yaml, or a change of it goes unseen."""

from pathlib import Path

import yaml

from orca2.core.errors import Orca2Error

DVC_FILE = Path("dvc.yaml")


def require_declared(path: str, stage: str, file: Path = DVC_FILE) -> None:
    """Raise unless DVC watches `path` for this stage, as itself or inside a folder that it watches.

    Raises:
        Orca2Error: with the line to add.
    """
    pipeline = yaml.safe_load(file.read_text("utf-8")) if file.is_file() else {}
    deps = pipeline.get("stages", {}).get(stage, {}).get("deps", [])
    wanted = Path(path).expanduser().resolve()
    watched = [Path(dep).expanduser().resolve() for dep in deps if isinstance(dep, str)]
    if not any(wanted == place or place in wanted.parents for place in watched):
        hint = f"add `- {path}` to the deps of stages.{stage}, so that a change of it rebuilds what it should"
        raise Orca2Error(f"does not watch {path}", str(file), hint)
