"""A source, read: its questions, the rows that are left out with their reasons, and the columns that nobody reads."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.hashing import derive_seed, digest
from orca2.core.rows import Example, Rejected
from orca2.recipe.graders.golds import sound_golds
from orca2.recipe.sources.base import Record, Source
from orca2.recipe.sources.few_shot import Alike, Shots
from orca2.recipe.sources.questions import Maker, row_id
from orca2.recipe.sources.values import Fault

_SHOWN = 200
"""Bad rows that a refusal lists."""
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What became of the rows of one source; together they are all that was read."""

    examples: list[Example]
    """Its questions; `split` is still to be decided."""
    unsound: list[Example]
    """Those whose known answer its own grader does not take."""
    rejected: list[Rejected]
    columns: tuple[str, ...]
    unused: tuple[str, ...]
    """The columns that no parameter reads."""

    @property
    def num_read(self) -> int:
        """Rows."""
        return len(self.examples) + len(self.unsound) + len(self.rejected)


def read_rows(
    name: str, source: Source, records: Iterable[Record], where: str, seed: int, *, may_be_empty: bool = False
) -> Reading:
    """The questions of one source.

    Args:
        name: of the source.
        source: what its parameters are.
        records: its rows.
        where: it, to an error.
        seed: of params.yaml; the limit draws by it.
        may_be_empty: whether an answer may be.

    Raises:
        InputErrors: there is no row, a column is missing, or every bad row where there are more than `max_bad_share`.
    """
    maker = Maker(source.task or name, source, may_be_empty=may_be_empty)
    rows = _Rows(name, source.task or name)
    for record in _checked(records, where):
        rows.take(record, maker)
    if not rows.num_read:
        raise Orca2Error("has no rows", where, "an empty source makes no task: fill or remove it")
    raise_all(_missing(maker.columns, rows.columns, where))
    rows.require_few(source.max_bad_share, where)
    sound, unsound = sound_golds(name, rows.examples, rows.share_left(source.max_bad_share))
    kept, beyond = _limited(sound, source.limit, seed)
    for _ in beyond:
        rows.reject("beyond the limit of its source", "")
    if source.few_shot:
        shots = Shots([(example, rows.alike[id(example)]) for example in sound], source.few_shot, seed)
        kept = list(_behind(kept, shots, rows))
    unused = tuple(column for column in rows.columns if column not in maker.columns)
    return Reading(examples=kept, unsound=unsound, rejected=rows.rejected, columns=tuple(rows.columns), unused=unused)


@dataclass
class _Rows:
    """The rows of a source as they come."""

    name: str
    task: str
    examples: list[Example] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    shown: list[tuple[str, Fault]] = field(default_factory=list)
    """Of the bad rows those that a refusal lists: where they stand, and what is wrong."""
    num_bad: int = 0
    alike: dict[int, Alike] = field(default_factory=dict)
    """What a question shares with those that may stand before it, by its `id`."""
    columns: dict[str, None] = field(default_factory=dict)
    num_read: int = 0

    @property
    def num_concerned(self) -> int:
        """Rows that the source is about."""
        return len(self.examples) + self.num_bad

    def share_left(self, share: float) -> float:
        """Of the questions, the share that may still be bad where this share of the rows may."""
        left = share * self.num_concerned - self.num_bad
        # A division and its product may differ in the last digit.
        return max(0.0, left + _ROUNDING) / max(1, len(self.examples))

    def take(self, record: Record, maker: Maker) -> None:
        self.num_read += 1
        position = record.position or f"row {self.num_read}"
        if not record.columns.keys() <= self.columns.keys():
            self.columns |= dict.fromkeys(record.columns)
        try:
            if record.fault:
                raise Fault("unreadable row", record.fault)
            if maker.concerns(record):
                example = maker.question(record)
                self.examples.append(example)
                if maker.shows_others:
                    self.alike[id(example)] = maker.alike(record)
            else:
                self.reject("left out by `where`", position)
        except Fault as fault:
            self.num_bad += 1
            if len(self.shown) < _SHOWN:
                self.shown.append((position, fault))
            self.reject(fault.reason, f"{position}: {fault.detail}")

    def reject(self, reason: str, detail: str) -> None:
        # By number: no two rows of a source share one, whatever they hold.
        named = digest("record", [self.name, len(self.rejected)])
        self.rejected.append(
            Rejected(row_id=named, sample_index=0, task=self.task, stage="prepare_tasks", reason=reason, detail=detail)
        )

    def require_few(self, share: float, where: str) -> None:
        """Raise where the bad rows are more than this share of those that the source is about."""
        if not self.num_concerned:
            raise Orca2Error("`where` leaves no row", where, "ask for less")
        if self.num_bad > share * self.num_concerned + _ROUNDING:
            more = self.num_bad - len(self.shown)
            rest = Orca2Error(f"{more:,} more rows are bad", where, "mend them, or raise `max_bad_share`")
            told = [Orca2Error(fault.detail, f"{where}: {position}", fault.hint) for position, fault in self.shown]
            raise_all([*told, *[rest] * (more > 0)])


def _checked(records: Iterable[Record], where: str) -> Iterator[Record]:
    for record in records:
        if not isinstance(record, Record) or not isinstance(record.columns, Mapping):
            hint = "yield `orca2.recipe.sources.base.Record({column: value})`"
            raise Orca2Error(f"its reader gave {type(record).__name__}, not a Record of columns", where, hint)
        yield record


def _missing(wanted: Iterable[str], columns: Mapping[str, None], where: str) -> Iterator[Orca2Error]:
    known = f"its columns: {', '.join(columns) or 'none'}"
    # Where no row can be read, that is what is wrong.
    absent = sorted(set(wanted) - columns.keys()) if columns else ()
    return (Orca2Error(f"has no column `{column}`", where, known) for column in absent)


def _behind(examples: Iterable[Example], shots: Shots, rows: _Rows) -> Iterator[Example]:
    """Each question behind others; one for which there are too few is left out."""
    for example in examples:
        try:
            shown = shots.before(example, rows.alike[id(example)])
            yield replace(shown, row_id=row_id(shown.task, shown.question, shown.answer))
        except Fault as fault:
            rows.reject(fault.reason, fault.detail)


def _limited(examples: list[Example], limit: int, seed: int) -> tuple[list[Example], list[Example]]:
    """At most so many, by a hash of the question: those of a source that grows stay, or give way one by one."""
    if not limit or len(examples) <= limit:
        return examples, []
    drawn = sorted(range(len(examples)), key=lambda i: (derive_seed(seed, "limit", examples[i].question), i))
    kept = set(drawn[:limit])
    return [e for i, e in enumerate(examples) if i in kept], [examples[i] for i in drawn[limit:]]
