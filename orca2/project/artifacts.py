"""The artifacts that hold rows, by the stage that writes them: where they lie, and what they come from."""

from dataclasses import dataclass
from typing import NamedTuple

_QUESTION = ("row_id",)
_ANSWER = ("row_id", "sample_index")
_CANDIDATE = ("row_id", "sample_index", "strategy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One folder of rows."""

    folder: str
    identity: tuple[str, ...]
    """The columns that tell which rows of two versions are the same one."""
    lineage: tuple[tuple[str, str], ...] = ()
    """Step and folder of what its rows came from, itself included (see `lineage`)."""
    asked: str = "sampling"
    """The cause of a request that only one version has."""


_QUESTIONS = (("examples", "data/examples"), ("left_out", "data/rejected/prepare_tasks"))
_REQUESTS = (*_QUESTIONS, ("requests", "data/requests"))
_ANSWERS = (*_REQUESTS, ("answers", "data/generations"))
_GRADED = (*_ANSWERS, ("graded", "data/graded"))
_PROBED = (
    *_QUESTIONS,
    ("requests", "data/probe/requests"),
    ("answers", "data/probe/graded"),
    ("graded", "data/probe/graded"),
)


def _evaluated(role: str) -> Artifact:
    folder = f"data/evaluation/{role}"
    steps = (*_QUESTIONS, ("requests", "data/evaluation/requests"), ("answers", folder), ("graded", folder))
    return Artifact(folder=folder, identity=_CANDIDATE, lineage=steps)


ARTIFACTS = {
    "prepare_tasks": (Artifact(folder="data/examples", identity=_QUESTION, lineage=_QUESTIONS),),
    "probe": (Artifact(folder="data/probe/graded", identity=_CANDIDATE, lineage=_PROBED, asked="strategy"),),
    "render_prompts": (Artifact(folder="data/requests", identity=_ANSWER, lineage=_REQUESTS),),
    "generate": (Artifact(folder="data/generations", identity=_ANSWER, lineage=_ANSWERS),),
    "grade": (Artifact(folder="data/graded", identity=_ANSWER, lineage=_GRADED),),
    "erase": (Artifact(folder="data/chats", identity=_ANSWER, lineage=(*_GRADED, ("chats", "data/chats"))),),
    "pack": (Artifact(folder="data/packed", identity=("sequence_index",)),),
    "evaluate": tuple(_evaluated(role) for role in ("base", "student", "teacher")),
}
DATASET = "erase"
"""The stage whose artifact is the dataset: the conversations that the student learns from."""


class Asked(NamedTuple):
    """What the questions of one split became, folder by folder."""

    requests: str
    answers: tuple[str, ...]
    verdicts: tuple[str, ...]
    dataset: tuple[str, ...] = ()
    """The conversations to learn from; none of a split that nobody learns from."""


_CHATS = tuple(artifact.folder for artifact in ARTIFACTS[DATASET])
_EXAMINED = tuple(artifact.folder for artifact in ARTIFACTS["evaluate"])
SPLITS = {
    "probe": Asked("data/probe/requests", ("data/probe/graded",), ("data/probe/graded",)),
    "train": Asked("data/requests", ("data/generations",), ("data/graded",), _CHATS),
    "evaluation": Asked("data/evaluation/requests", _EXAMINED, _EXAMINED),
}
"""By the split of a question (`Example.split`)."""
