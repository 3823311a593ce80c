"""Everything that is known of one question: where it came from, what was asked and answered, and what became of it."""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orca2.audit.story import Answered, Choice, Erasure, LeftOut, Row, Story
from orca2.core.errors import Orca2Error
from orca2.diff.shifts import strategies
from orca2.project.artifacts import EXAMPLES, LEFT_OUT, PACKED, REJECTIONS, SPLITS, Artifact
from orca2.project.revisions import Revision
from orca2.recipe.templates import Templates
from orca2.store.segments import read_table as read_segment
from orca2.store.segments import segment_files

_ROW_ID = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one question, artifact by artifact."""

    revision: Revision
    row_id: str
    absent: list[str] = field(default_factory=list)
    """The artifacts that this revision does not hold."""

    def rows(self, artifact: Artifact[object], columns: Sequence[str] | None = None) -> list[Row]:
        if not (artifact.optional or self.revision.holds(artifact) or artifact.folder in self.absent):
            self.absent.append(artifact.folder)
        return list(self.revision.table(artifact, columns, self.row_id).to_pylist())


def why(revision: Revision, prefix: str, store: Path) -> Story | LeftOut:
    """The whole story of the question whose row id begins with `prefix`, as plain data.

    Args:
        revision: where to look.
        prefix: hex digits, as many as tell one question from the others.
        store: the folder of the answer store, for how an answer came to be.

    Raises:
        Orca2Error: no question, or several, begin so.
    """
    rows = _Rows(revision, find(revision, prefix))
    examples = rows.rows(EXAMPLES)
    return _story(rows, examples[0], store) if examples else _rejection(rows)


def _story(rows: _Rows, example: Row, store: Path) -> Story:
    revision, asked = rows.revision, SPLITS[example["split"]]
    requests = rows.rows(asked.requests)
    answered = [row for artifact in _distinct(asked.answers + asked.verdicts) for row in rows.rows(artifact)]
    chats = [row for artifact in asked.dataset for row in rows.rows(artifact)]
    passed = [EXAMPLES, asked.requests, *asked.answers, *asked.verdicts, *asked.dataset]
    stages = {artifact.stage for artifact in passed} | ({PACKED.stage} if asked.dataset else set())
    return {
        "revision": str(revision),
        "question": example,
        "strategy": _choice(revision, example["task"]),
        "templates": _templates(revision, sorted({request["template"] for request in requests})),
        "model": _models(revision, {request["model"] for request in requests}),
        "answers": [_answer(request, answered, chats) for request in requests],
        "provenance": _provenance(store, [request["key"] for request in requests]),
        "erasure": [_erasure(chat, requests) for chat in chats],
        "rejected": [row for artifact in REJECTIONS if artifact.stage in stages for row in rows.rows(artifact)],
        "packed": list(_packed(revision, rows.row_id)) if asked.dataset else [],
        "absent": rows.absent,
    }


def _rejection(rows: _Rows) -> LeftOut:
    """The story of a question that became no example: why, where from, and of whom it is a duplicate."""
    found = rows.rows(LEFT_OUT)
    originals = dict.fromkeys(
        other for row in found for other in _ROW_ID.findall(row["detail"]) if other != rows.row_id
    )
    kept = [row for original in originals for row in _Rows(rows.revision, original).rows(EXAMPLES)]
    beside = rows.revision.table(EXAMPLES, ["task", "source", "licence"])
    tasks = {row["task"] for row in found}
    sources = {(row["source"], row["licence"]) for row in beside.to_pylist() if row["task"] in tasks}
    return {
        "revision": str(rows.revision),
        "row_id": rows.row_id,
        "question": None,
        "sources": [{"source": source, "licence": licence} for source, licence in sorted(sources)],
        "rejected": found,
        "same_as": kept,
        "absent": rows.absent,
    }


def _distinct(artifacts: Sequence[Artifact[object]]) -> list[Artifact[object]]:
    return list({artifact.folder: artifact for artifact in artifacts}.values())


def find(revision: Revision, prefix: str) -> str:
    """The one row id that begins so.

    Raises:
        Orca2Error: there is none, or there are several.
    """
    import pyarrow.compute as pc

    wanted = prefix.strip().lower()
    if not revision.holds(EXAMPLES):
        raise Orca2Error(f"has no {EXAMPLES.folder}", str(revision), f"run `dvc repro {EXAMPLES.stage}`")
    if not wanted or set(wanted) - set("0123456789abcdef"):
        raise Orca2Error("is no row id", repr(prefix), "give its first hex digits, as `orca2 diff` prints them")
    found: list[str] = []
    # Questions of the dataset first: of those that were left out there may be many more.
    for artifact in (EXAMPLES, LEFT_OUT):
        ids = revision.table(artifact, ["row_id"], wanted if len(wanted) == 64 else "")["row_id"]
        found = found or ids.filter(pc.starts_with(ids, wanted)).unique().to_pylist()
    if len(found) == 1:
        return found[0]
    hint = (
        f"several do: {', '.join(row[: len(wanted) + 6] for row in found[:4])}"
        if found
        else f"of questions in {EXAMPLES.folder} or {LEFT_OUT.folder}; those of other revisions need --rev"
    )
    raise Orca2Error(f"{len(found) or 'no'} question{'s' * (len(found) != 1)} begin so", prefix, hint)


def _choice(revision: Revision, task: str) -> Choice:
    """The strategy of the task, what it scored on the probe, and the runner-up."""
    chosen = strategies(revision)
    evidence = chosen["evidence"].get(task) or {}
    scores = {score["strategy"]: score for score in evidence.get("scores") or []}
    name, second = chosen["strategies"].get(task), evidence.get("runner_up")
    return {
        "task": task,
        "chosen": name,
        "verdict": evidence.get("verdict"),
        "score": scores.get(name),
        "runner_up": second,
        "runner_up_score": scores.get(second),
    }


def _templates(revision: Revision, names: Sequence[str]) -> list[dict[str, str]]:
    """Every file that these templates are made of, with its digest."""
    with tempfile.TemporaryDirectory() as folder:
        root = revision.export("templates", Path(folder))
        templates = Templates(root) if names else None
        files = {file for name in names if templates and name in templates.files for file in templates.reach(name)}
        return [
            {"file": f"templates/{file}", "sha256": hashlib.sha256((root / file).read_bytes()).hexdigest()}
            for file in sorted(files)
        ]


def _models(revision: Revision, asked: set[str]) -> list[dict[str, str]]:
    lock = revision.text("models/models.json")
    if lock is None and (file := revision.file("models/models.json")):  # a revision that has the weights beside it
        lock = file.read_text("utf-8")
    known = json.loads(lock or "{}")
    names = {model["digest"]: model["reference"] for model in known.values()}
    return [{"digest": digest, "reference": names.get(digest, "not in models/models.json")} for digest in sorted(asked)]


def _answer(request: Row, answered: list[Row], chats: list[Row]) -> Answered:
    """A request with what it was answered, the verdict, and whether it became training data."""
    facts: Row = {}
    for row in answered:
        if all(row[name] == request[name] for name in ("sample_index", "strategy")):
            facts |= row
    kept = any(chat["sample_index"] == request["sample_index"] for chat in chats)
    same = ("row_id", "task", "key", "strategy", "sample_index")
    return {"request": request, "answer": {k: v for k, v in facts.items() if k not in same} or None, "kept": kept}


def _erasure(chat: Row, requests: list[Row]) -> Erasure:
    """The turns that the student does not see, and those that it sees in their place."""
    asked: list[Row] = next((r["messages"] for r in requests if r["sample_index"] == chat["sample_index"]), [])
    seen = chat["messages"]
    return {
        "sample_index": chat["sample_index"],
        "erased_template": chat["erased_template"],
        "student_template": chat["student_template"],
        "erased": [turn for turn in asked if turn not in seen],
        "student": [turn for turn in seen if turn["role"] != "assistant"],
    }


def _packed(revision: Revision, row_id: str) -> Iterator[Row]:
    import pyarrow.compute as pc

    for shard in revision.shards(PACKED.folder) if revision.holds(PACKED) else ():
        table = shard.read(["sequence_index", "segments"])
        for chunk, index in zip(table["segments"].chunks, table["sequence_index"].chunks, strict=True):
            flat = chunk.flatten()
            for at in pc.indices_nonzero(pc.equal(flat.field("row_id"), row_id)).to_pylist():
                yield {
                    "sequence_index": index[chunk.value_parent_indices()[at].as_py()].as_py(),
                    **flat[at].as_py(),
                }


def _provenance(store: Path, keys: Sequence[str]) -> dict[str, dict[str, object]]:
    """How the stored answers to these keys came to be: engine, versions, hardware."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[str, dict[str, object]] = {}
    for segment in segment_files(store) if keys else ():
        try:
            table = read_segment(segment, ["key", "provenance"])
        except (pa.ArrowException, OSError, ValueError):
            continue  # torn or merged meanwhile: `orca2 store verify` is the one to tell
        held = table.filter(pc.is_in(table["key"], value_set=pa.array(keys, pa.string())))
        found |= {row["key"]: json.loads(row["provenance"] or "{}") for row in held.to_pylist()}
    return found
