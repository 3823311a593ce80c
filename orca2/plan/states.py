"""How the steps of the recipe stand in a pipeline, whatever its stages are called."""

from collections.abc import Sequence
from typing import Literal

from orca2.project.artifacts import STEPS
from orca2.project.pipeline import StageState, state_of


class States:
    """The state of each step, whatever its stage is called."""

    def __init__(self, states: Sequence[StageState]) -> None:
        self._states = {step: state_of(path, states) for step, path in STEPS.items()}

    def of(self, step: str) -> Literal["fresh", "stale", "waiting", "absent"]:
        """The state of a step; `absent` where the pipeline has no stage for it."""
        state = self._states[step]
        return state.state if state else "absent"

    def has(self, step: str) -> bool:
        """Whether the pipeline has it."""
        return self._states[step] is not None

    def reads_anew_only(self, step: str, path: str) -> bool:
        """Whether one of its deps is all of its own that changed."""
        state = self._states[step]
        return state is not None and state.reads_anew == {path} and len(state.why) == 1

    def stays(self, step: str) -> bool:
        """Whether what it wrote stays as it is: it is fresh, or nothing here writes it."""
        return self.of(step) in ("fresh", "absent")

    def name(self, step: str) -> str:
        """What its stage is called."""
        state = self._states[step]
        return state.name if state else step
