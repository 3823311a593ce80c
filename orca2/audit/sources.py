"""What every source gives, before anything is built: one question as it will be asked, rows left out, columns unread.

`orca2 check --sources` reads the sources whole; `orca2 check` alone looks only at how they are declared.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from orca2.core import config
from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example
from orca2.core.text import lines_of, printable
from orca2.project.metrics import reasons_of
from orca2.recipe.erasure import EraseConfig, check_erased_names
from orca2.recipe.graders.golds import rejected_golds
from orca2.recipe.graders.known import known
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.sources.origin import origin_of
from orca2.recipe.sources.reading import Reading
from orca2.recipe.tasks import SplitConfig, TasksConfig
from orca2.recipe.templates import Templates

_SHOWN_TASKS = 10
_LABEL = re.compile(r"\(?([A-Z])[).:]?")


def read_all(params_file: Path = config.PARAMS_FILE, templates_root: Path = Path("templates")) -> Iterator[str]:
    """What each source gives, as text, one after another.

    Raises:
        InputErrors: at the end, every source that cannot be read; or, where all can, every folder of templates and
            every entry of `erase` that is about no task.
    """
    tasks, seed = config.load_section("tasks", TasksConfig, params_file), config.load_section("seed", int, params_file)
    errors: list[Orca2Error] = []
    names: set[str] = set()
    categories = {source.category for source in tasks.sources.values()}
    for name, source in tasks.sources.items():
        try:
            reading = read_source(name, source, seed)
        except Orca2Error as error:
            errors.append(error)
            continue
        names |= {example.task for example in reading.examples}
        categories |= {example.category for example in reading.examples}
        yield "\n".join(_lines(name, source, reading, tasks.splits)) + "\n"
    raise_all(errors)
    Templates(templates_root).check_tasks(names, categories, f"{params_file}: tasks.sources")
    erase = config.load_section("erase", EraseConfig, params_file)
    check_erased_names(erase, [*names, *categories], f"{params_file}: erase")


def _lines(name: str, source: SourceConfig, reading: Reading, splits: SplitConfig) -> Iterator[str]:
    left_out = reasons_of([*reading.rejected, *rejected_golds(reading.unsound)])
    yield f"{name}: {reading.num_read:,} rows read, {len(reading.examples):,} questions, {left_out.total():,} left out"
    yield from (f"  left out {count:,}  {printable(reason)}" for reason, count in sorted(left_out.items()))
    names = sorted({example.task for example in reading.examples})
    more = f" and {len(names) - _SHOWN_TASKS} more" * (len(names) > _SHOWN_TASKS)
    yield f"  {'tasks' if len(names) > 1 else 'task':<9}{', '.join(names[:_SHOWN_TASKS])}{more}"
    yield f"  split    {_rule(source, splits)}"
    if reading.unused:
        yield f"  unread   {printable(', '.join(reading.unused))}: no template and no parameter reads these columns"
    if hidden := sum(map(_hides_its_options, reading.examples)):
        hint = "declare `choices`, unless a template shows them"
        yield f"  options  of {hidden:,} questions are not seen, and the answer is the label of one: {hint}"
    for example in reading.examples[:1]:
        yield from _example(example)


def _hides_its_options(example: Example) -> bool:
    """Whether the answer is a label that the question does not show."""
    label = _LABEL.fullmatch(example.answer)
    if example.grader != "choice" or not label or known(example.metadata).choices:
        return False
    return re.search(rf"(?<!\w){label[1]}\s?[).:]", example.question) is None


def _rule(source: SourceConfig, splits: SplitConfig) -> str:
    if source.split:
        return f"all of it is for {source.split}"
    return f"{splits.probe_fraction:.0%} probe, {splits.evaluation_fraction:.0%} evaluation, the rest train"


def _example(example: Example) -> Iterator[str]:
    for number, line in enumerate(lines_of(example.question)):
        yield f"  {'question' if number == 0 else '':<9}| {line}"
    facts, origin = known(example.metadata), origin_of(example.metadata)
    golds = " or ".join(map(printable, (example.answer, *facts.answers)))
    yield f"  right    {golds}  (grader {example.grader})"
    if facts.choices:
        yield f"  options  {printable(', '.join(f'({option.label}) {option.text}' for option in facts.choices))}"
    yield from (f"  {what:<9}{printable(said)}" for what, said in origin.words().items())
