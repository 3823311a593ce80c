"""The frozen row types that flow through the pipeline, one per step (docs/design.md, 4).

A stage never rewrites a row: it emits the next type, which carries `row_id` (the question) and `sample_index` (which
answer to it), so that lineage is a join. Token counts are in tokens of the model that is meant; digests are 64 hex
digits.
"""

from dataclasses import dataclass
from typing import Literal

from orca2.core.errors import require

Split = Literal["probe", "train", "evaluation"]
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question with its known answer, as a source gave it."""

    row_id: str
    """Digest of task, question and answer."""
    task: str
    category: str
    split: Split
    question: str
    answer: str
    grader: str
    metadata: str
    """Canonical JSON of whatever else the source knows of the question."""
    source: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The sampling parameters that change an answer, named as vLLM names them."""

    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    max_tokens: int = 128
    """Longest answer, in tokens; a longer one is cut and says so."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer and are not part of it."""

    def __post_init__(self) -> None:
        # 0, 0.0 and -0.0 are one temperature, and must be one key.
        object.__setattr__(self, "temperature", self.temperature + 0.0)
        object.__setattr__(self, "top_p", self.top_p + 0.0)
        require(
            {
                "temperature must be 0 or more": self.temperature >= 0,
                "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
                "top_k must be 0 or more": self.top_k >= 0,
                "max_tokens must be 1 or more": self.max_tokens >= 1,
                "stop: a stop string must not be empty nor hold a NUL": all(s and "\0" not in s for s in self.stop),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to a model, complete: nothing else decides the answer."""

    key: str
    row_id: str
    sample_index: int
    task: str
    strategy: str
    template: str
    """The template file that rendered it, relative to `templates/`."""
    model: str
    """Model digest."""
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an engine said to one request, as the store keeps it."""

    key: str
    text: str
    finish_reason: Literal["stop", "length"]
    max_tokens: int
    """The limit it was generated under; only an answer cut by it depends on it."""
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request in this run; only its answer is stored."""

    key: str
    kind: Literal["answered", "cut", "refused", "invalid", "failed"]
    """`cut` at its token limit; `refused` by an endpoint; `invalid`: no such reply as it should send; or `failed`."""
    answer: Answer | None = None
    """Of the kinds `answered` and `cut`, and of no other."""
    provenance: str = ""
    """JSON: how the answer came to be, outside its identity."""
    detail: str = ""
    """Why there is no answer."""

    @classmethod
    def of(cls, answer: Answer, provenance: str) -> "Outcome":
        """The outcome of a request that was answered."""
        kind: Literal["answered", "cut"] = "cut" if answer.finish_reason == "length" else "answered"
        return cls(key=answer.key, kind=kind, answer=answer, provenance=provenance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """An answer back beside its question."""

    row_id: str
    sample_index: int
    task: str
    strategy: str
    key: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """A generation with its verdict, by strict and by lenient extraction."""

    row_id: str
    sample_index: int
    task: str
    strategy: str
    key: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    expected: str
    strict_answer: str | None
    """What stands after the final `Answer:`; None when that line is missing (format not OK)."""
    lenient_answer: str | None
    strict_correct: bool
    lenient_correct: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One training conversation as the student sees it: the teacher's instruction erased."""

    row_id: str
    sample_index: int
    task: str
    strategy: str
    key: str
    erased_template: str
    student_template: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Where one conversation lies in a packed sequence, in tokens from its start."""

    row_id: str
    sample_index: int
    start: int
    length: int
    supervised_start: int
    """First token the loss is taken on; it runs to the end of the segment's answer."""
    supervised_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSequence:
    """Several conversations in one sequence of at most `max_tokens` tokens; attention never crosses a segment."""

    sequence_index: int
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    """The token where the loss is taken, -100 elsewhere."""
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A row that a stage did not pass on, and why. Nothing disappears."""

    row_id: str
    sample_index: int
    task: str
    stage: str
    reason: str
    """A short fixed phrase, counted in the stage's metrics."""
    detail: str
    strategy: str = ""
    """The one it was asked under; empty before any is."""
