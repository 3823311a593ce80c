"""The registry of artifacts: one entry a folder of rows, with the stage that writes it and what its rows come from.

Whoever needs the name of a stage, a folder under `data/` or the type of a row asks here.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from orca2.core.rows import Chat, Example, Generation, Graded, PackedSequence, Rejected, Request

Row = TypeVar("Row", covariant=True)
_QUESTION = ("row_id",)
_ANSWER = ("row_id", "sample_index")
_CANDIDATE = ("row_id", "sample_index", "strategy")
_REJECTED = ("row_id", "sample_index", "strategy", "stage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact(Generic[Row]):
    """One folder of rows."""

    stage: str
    """The stage of dvc.yaml that writes it."""
    folder: str
    """From the root of the project."""
    row_type: type[Row]
    identity: tuple[str, ...]
    """The columns that tell which rows of two versions are the same one."""
    steps: tuple[str, ...] = ()
    """What its rows are in the lineage of later ones: examples, left_out, requests, answers, graded, chats."""
    origins: tuple["Artifact[object]", ...] = ()
    """What its rows come from, in order."""
    asked: str = "sampling"
    """The cause of a request that only one version has."""
    optional: bool = False
    """Whether a project may never have any of its rows, and then no folder either."""

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder)

    @property
    def lineage(self) -> tuple[tuple[str, "Artifact[object]"], ...]:
        """Step and artifact of all that its rows came from, itself included."""
        return tuple((step, artifact) for artifact in (*self.origins, self) for step in artifact.steps)


REJECTED = Path("data/rejected")
"""The rows that were not passed on, in a folder for each stage."""


def rejected(stage: str, *steps: str) -> Artifact[Rejected]:
    """The rows that a stage did not pass on."""
    folder = (REJECTED / stage).as_posix()
    return Artifact(stage=stage, folder=folder, row_type=Rejected, identity=_REJECTED, steps=steps)


LEFT_OUT = rejected("prepare_tasks", "left_out")
NEAR_COPIES = LEFT_OUT.path / "near_copies"
"""Of the questions that are kept, those of evaluation that have a near copy in training, as rows like the others."""
EXAMPLES = Artifact(
    stage="prepare_tasks",
    folder="data/examples",
    row_type=Example,
    identity=_QUESTION,
    steps=("examples",),
    origins=(LEFT_OUT,),
)
PROBE_REQUESTS = Artifact(
    stage="probe",
    folder="data/probe/requests",
    row_type=Request,
    identity=_CANDIDATE,
    steps=("requests",),
    origins=(EXAMPLES, LEFT_OUT),
    asked="strategy",
)
PROBED = Artifact(
    stage="probe",
    folder="data/probe/graded",
    row_type=Graded,
    identity=_CANDIDATE,
    steps=("answers", "graded"),
    origins=(EXAMPLES, LEFT_OUT, PROBE_REQUESTS),
    asked="strategy",
)
STUDENT_PROBE_REQUESTS = replace(PROBE_REQUESTS, folder="data/probe/student/requests")
STUDENT_PROBED = replace(
    PROBED, folder="data/probe/student/graded", origins=(EXAMPLES, LEFT_OUT, STUDENT_PROBE_REQUESTS)
)
"""Of the student's base, where it judges beside the teacher; where it judges alone, its answers are those above."""
CHOICES = Path("data/strategies.yaml")
"""What `select_strategies` chose; a file for people, in git."""
REQUESTS = Artifact(
    stage="render_prompts",
    folder="data/requests",
    row_type=Request,
    identity=_ANSWER,
    steps=("requests",),
    origins=(EXAMPLES, LEFT_OUT),
)
GENERATIONS = Artifact(
    stage="generate",
    folder="data/generations",
    row_type=Generation,
    identity=_ANSWER,
    steps=("answers",),
    origins=(EXAMPLES, LEFT_OUT, REQUESTS),
)
GRADED = Artifact(
    stage="grade",
    folder="data/graded",
    row_type=Graded,
    identity=_ANSWER,
    steps=("graded",),
    origins=(*GENERATIONS.origins, GENERATIONS),
)
CHATS = Artifact(
    stage="erase",
    folder="data/chats",
    row_type=Chat,
    identity=_ANSWER,
    steps=("chats",),
    origins=(*GRADED.origins, GRADED),
)
PACKED = Artifact(stage="pack", folder="data/packed", row_type=PackedSequence, identity=("sequence_index",))
EVALUATION_REQUESTS = Artifact(
    stage="evaluate",
    folder="data/evaluation/requests",
    row_type=Request,
    identity=_CANDIDATE,
    steps=("requests",),
    origins=(EXAMPLES, LEFT_OUT),
)
EVALUATED = {
    role: Artifact(
        stage="evaluate",
        folder=f"data/evaluation/{role}",
        row_type=Graded,
        identity=_CANDIDATE,
        steps=("answers", "graded"),
        origins=(EXAMPLES, LEFT_OUT, EVALUATION_REQUESTS),
    )
    for role in ("base", "student", "teacher")
}
"""By the role of the model that was examined."""
FURTHER = Artifact(
    stage="evaluate",
    folder="data/evaluation/further",
    row_type=Graded,
    identity=_CANDIDATE,
    steps=("answers", "graded"),
    origins=(EXAMPLES, LEFT_OUT, EVALUATION_REQUESTS),
    optional=True,
)
"""Of all further roles: models that are compared, and the student under another template."""

JUDGED = {
    stage: Artifact(stage=stage, folder=f"{folder}/judge", row_type=Request, identity=_CANDIDATE)
    for stage, folder in (("probe", "data/probe"), ("grade", GRADED.folder), ("evaluate", "data/evaluation"))
}
"""By stage, what the model that judges was asked; only where there is one."""

REGISTRY: tuple[Artifact[object], ...] = (
    EXAMPLES,
    PROBE_REQUESTS,
    PROBED,
    REQUESTS,
    GENERATIONS,
    GRADED,
    CHATS,
    PACKED,
    EVALUATION_REQUESTS,
    *EVALUATED.values(),
    FURTHER,
)
"""Every artifact that rows are passed on in, in the order of the flow."""
ASKING = (
    *(artifact for artifact in REGISTRY if artifact.row_type is Request),
    STUDENT_PROBE_REQUESTS,
    *JUDGED.values(),
)
"""Those that hold requests to models."""
COMPARED = {
    stage: tuple(a for a in REGISTRY if a.stage == stage and (a.row_type is not Request or stage == "render_prompts"))
    for stage in dict.fromkeys(artifact.stage for artifact in REGISTRY)
}
"""What a diff of a stage compares; of a stage that asks and grades, what was graded."""
DATASET = CHATS
"""The conversations that the student learns from."""
REJECTIONS = (LEFT_OUT, *(rejected(stage) for stage in ("probe", "generate", "grade", "erase", "pack", "evaluate")))
"""The rows that each stage did not pass on, of those stages that may leave out any."""

MODELS = Path("models")
TRAINED = Path("trained")
STEPS: dict[str, str] = {
    "prepare_models": str(MODELS),
    "prepare_tasks": EXAMPLES.folder,
    "probe": PROBED.folder,
    "select_strategies": str(CHOICES),
    "render_prompts": REQUESTS.folder,
    "generate": GENERATIONS.folder,
    "grade": GRADED.folder,
    "erase": CHATS.folder,
    "pack": PACKED.folder,
    "train": str(TRAINED),
    "evaluate": EVALUATION_REQUESTS.folder,
    "report": "report",
}
"""Every step in order, and what the stage writes that takes it: its name in dvc.yaml is the user's affair."""


class SplitArtifacts(NamedTuple):
    """What the questions of one split became."""

    requests: Artifact[Request]
    answers: tuple[Artifact[object], ...]
    verdicts: tuple[Artifact[object], ...]
    dataset: tuple[Artifact[object], ...] = ()
    """The conversations to learn from; none of a split that nobody learns from."""


SPLITS = {
    "probe": SplitArtifacts(PROBE_REQUESTS, (PROBED,), (PROBED,)),
    "train": SplitArtifacts(REQUESTS, (GENERATIONS,), (GRADED,), (CHATS,)),
    "evaluation": SplitArtifacts(EVALUATION_REQUESTS, (*EVALUATED.values(), FURTHER), (*EVALUATED.values(), FURTHER)),
}
"""By the split of a question (`Example.split`)."""
