"""Why a request must be generated, or is not asked any more: the causes of `orca2 diff`, in its order.

The earlier version is the artifact as it lies in the workspace, the later one is what would be asked. Whether the
messages changed is told by a key: they are the same where, under the model and the sampling of last time, they have the
key of last time. So no conversation is read, and none is rendered.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache, cached_property
from pathlib import Path

from orca2.core.rows import Sampling
from orca2.diff.causes import Cause, Known, Outside, Record, first_causes
from orca2.diff.template_changes import TemplateChanges
from orca2.plan.earlier import Asked, Earlier
from orca2.plan.made import Made
from orca2.plan.questions import Side, Sides
from orca2.project import git
from orca2.project.dvc_files import LOCK_FILE
from orca2.project.revisions import Revision
from orca2.recipe.request_tables import Keys
from orca2.recipe.templates import Templates
from orca2.store.store import Store

NEVER_BUILT = Cause("first build", "never built here")
NOT_STORED = Cause("answer", "asked before, but the answer is not in this store (`orca2 store pull`?)")


class Causes:
    """Names causes; use it as a context manager, because it keeps the earlier templates in a folder of its own."""

    def __init__(self, templates: Templates, store: Store) -> None:
        self._templates, self._store = templates, store
        self._keys = cache(lambda sampling: Keys(templates, sampling))
        self._open = ExitStack()

    def __enter__(self) -> "Causes":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def of(
        self,
        wanted: Sequence[Made],
        dropped: Sequence[int],
        asked_now: frozenset[str],
        earlier: Earlier,
        sides: Sides,
        asked: str,
    ) -> tuple[list[Cause], list[Cause]]:
        """The cause of each request that has no answer, and of each that is not asked any more.

        Args:
            wanted: requests without an answer.
            dropped: where in `earlier` those stand that are not asked any more.
            asked_now: the ids of all questions that something is asked about.
            earlier: what was asked last time.
            sides: of the questions.
            asked: the cause of a request that comes or goes (see `Artifact.asked`).
        """
        rows = [earlier.at.get(earlier.identity(m.row_id, m.sample_index, m.strategy)) for m in wanted]
        records = iter(earlier.records([row for row in rows if row is not None] + list(dropped)))
        before = [None if row is None else next(records) for row in rows] + list(records)
        after = [*map(_record, wanted), *([None] * len(dropped))]
        self._tell_messages(wanted, before, after)
        ids = [m.row_id for m in wanted] + [record["row_id"] for record in before[len(wanted) :] if record]
        steps = {
            "examples": _examples(ids, sides.examples, earlier.questions, asked_now),
            "left_out": Known(*([side.get(row_id) for row_id in ids] for side in sides.left_out)),
            "requests": Known(before, after),
        }
        outside = Outside(templates=self._changed, rule="", asked=asked)
        causes = first_causes(steps, len(ids), outside)
        lost = self._lost(before, after)
        told = [NOT_STORED if gone else cause for cause, gone in zip(causes, lost, strict=True)]
        return told[: len(wanted)], told[len(wanted) :]

    def _tell_messages(
        self, wanted: Sequence[Made], before: Sequence[Asked | None], after: Sequence[Asked | None]
    ) -> None:
        for made, old, new in zip(wanted, before, after, strict=False):
            if old and new:
                key = self._keys(old["sampling"]).under(made.template, old["model"], made.task, made.category)
                old["messages"] = old["key"]
                new["messages"] = key(made.question, old["seed"], made.sample_index)
        for record in (*before, *after):
            if record:
                record["sampling"] = _plain(record["sampling"])

    def _lost(self, before: Sequence[Asked | None], after: Sequence[Asked | None]) -> list[bool]:
        """Whether the very same was asked, and the store has not even the answer of last time."""
        same = [bool(a and b and a["key"] == b["key"]) for a, b in zip(before, after, strict=True)]
        olds = [record for record, is_same in zip(before, same, strict=True) if record and is_same]
        found = iter(self._store.lookup([o["key"] for o in olds], [o["sampling"]["max_tokens"] for o in olds]) < 0)
        return [is_same and bool(next(found)) for is_same in same]

    def _changed(self, before: str | None, after: str | None) -> str:
        return self._versions.between(before, after) if self._versions else f"templates/{after or before}"

    @cached_property
    def _versions(self) -> TemplateChanges | None:
        """The templates when the project was last built and committed, and as they are; None without such a commit."""
        root = self._templates.root
        if git.common_folder() is None or git.resolve(Path(), "HEAD") is None:
            return None
        built = git.history(Path(), "HEAD", str(LOCK_FILE), 1)
        revision = Revision(built[0].commit if built else "HEAD")
        folder = self._open.enter_context(tempfile.TemporaryDirectory())
        return TemplateChanges(revision.export(str(root), Path(folder)), root)


@cache
def _plain(sampling: Sampling) -> dict[str, object]:
    return asdict(sampling)


def _record(made: Made) -> Asked:
    return {
        "strategy": made.strategy,
        "template": made.template,
        "model": made.model,
        "sampling": made.sampling,
        "seed": made.seed,
        "key": made.key,
    }


def _examples(
    ids: Sequence[str],
    sides: tuple[Side, Side],
    asked_before: frozenset[str],
    asked_now: frozenset[str],
) -> Known:
    """A question is there where it was asked, or where it is known to be in another split."""

    def there(row_id: str, side: int, asked: frozenset[str]) -> Record | None:
        mine, other = sides[side].get(row_id), sides[1 - side].get(row_id)
        moved = mine and other and mine["split"] != other["split"]
        return (mine or {}) if row_id in asked or moved else None

    return Known([there(i, 0, asked_before) for i in ids], [there(i, 1, asked_now) for i in ids])
