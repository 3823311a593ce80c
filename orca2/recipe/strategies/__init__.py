"""Choose one reasoning strategy per task from probed and graded answers (Orca 2, section 3; the paper states no rule).

Our rule: of the strategies that are not shown to be worse than the most accurate one, the cheapest in tokens. Shown is
what the exact McNemar test on the same questions finds at 5 %; luck on one question buys nothing. A question that a
strategy got no answer to counts against it. Where two models judge, neither may show it to be worse.

After a race (`racing`) two are left to choose from, on about half the questions. At 5 % those would let a strategy pass
that is far worse, so there the cheaper one must not be behind at 50 %.

What the choice rests on is written beside it, for people to review in a diff. Every strategy had its chance to be
chosen, so the intervals hold for all of them at once, and that of the chosen one holds its true accuracy in at least 95
of 100 probes. The smallest lead says what a probe of this size could not have shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypedDict, TypeVar

import yaml

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example, Graded, Request
from orca2.recipe.strategies.scores import SIGNIFICANCE, Answer, Judged, Score, answer_of

_RACED = 0.5
"""In place of `SIGNIFICANCE` among the last two of a race."""
_Row = TypeVar("_Row", Graded, Request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The strategy of one task, and how clear the choice was."""

    task: str
    strategy: str
    verdict: str
    """`significant`: every other is shown to be worse; `no significant winner`: the cheapest of those that are not; or
    `only candidate`."""
    p_value: float | None
    """McNemar test of the chosen one against the runner-up; None without one."""
    runner_up: str | None
    """The rival that is least shown to differ from the chosen one."""
    smallest_lead: float | None
    """The smallest difference of accuracy that this probe could have shown between the two; None without a rival."""
    scores: tuple[Score, ...]
    """All candidates, the chosen one first, then those that were asked most, and by accuracy."""
    student_scores: tuple[Score, ...] = ()
    """The same by the student's base, where it judges beside the teacher."""


class Used(TypedDict):
    """Which techniques the answers of models show."""

    recognised: float | None
    """Share of the probe's own answers whose technique the rule names rightly, in [0, 1]; None: there are none."""
    models: dict[str, dict[str, dict[str, dict[str, int]]]]
    """Role, task, technique taught, technique used: how many answers."""


def select(
    graded: Iterable[Graded],
    groups: Mapping[str, str] | None = None,
    raced: Iterable[Request] | None = None,
    student: Iterable[Graded] = (),
) -> list[Choice]:
    """One choice per task, by task name.

    Args:
        graded: the probe's answers.
        groups: task to what it shares its choice with, such as its category; a task that is not named is its own.
        raced: what a race asked of one model; without it, every strategy was asked every question.
        student: the answers of a second model, which judges as well and was asked the same.
    """
    groups = groups or {}
    rows, others = _by_group(graded, groups), _by_group(student, groups)
    cells = None if raced is None else _by_group(raced, groups)
    chosen = {
        group: _choose(
            [of, others[group]] if group in others else [of],
            None if cells is None else {name: {answer_of(cell) for cell in c} for name, c in cells[group].items()},
        )
        for group, of in rows.items()
    }
    tasks = {row.task for by_strategy in rows.values() for of in by_strategy.values() for row in of}
    tasks |= {task for task, group in groups.items() if group in rows}
    return [replace(chosen[groups.get(task, task)], task=task) for task in sorted(tasks)]


def shared(examples: Iterable[Example], per: Literal["task", "category"]) -> dict[str, str]:
    """What the tasks of these questions share their choice with, as `select` takes it."""
    return {example.task: f"category {example.category}" for example in examples} if per == "category" else {}


def write_choices(choices: Sequence[Choice], file: Path) -> None:
    """Write the choices as YAML for people: chosen strategies first, then the scores behind them."""
    document = {
        "strategies": {choice.task: choice.strategy for choice in choices},
        "evidence": {choice.task: _evidence(choice) for choice in choices},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(document, sort_keys=False, width=110), encoding="utf-8")


def read_choices(file: Path) -> dict[str, str]:
    """Task to chosen strategy.

    Raises:
        Orca2Error: the file is missing or a person's edit broke it.
    """
    if not file.is_file():
        raise Orca2Error("no strategies chosen yet", str(file), "run `dvc repro select_strategies`")
    hint = "run `dvc repro --force select_strategies`"
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Orca2Error(f"not valid YAML: {error}", str(file), hint) from error
    if not isinstance(document, dict) or not isinstance(document.get("strategies"), dict):
        raise Orca2Error("has no `strategies:` mapping of task to strategy", str(file), hint)
    return dict(document["strategies"])


def examined_under(chosen: Mapping[str, str], known: Iterable[Example], default: str) -> dict[str, str]:
    """Task to the strategy that a teacher is examined under: as chosen, or the default where there was no probe.

    Args:
        chosen: task to chosen strategy; a person may have named one for a benchmark.
        known: the questions of probe and evaluation.
        default: of tasks without a probe question.
    """
    tasks: dict[str, set[str]] = {}
    for example in known:
        tasks.setdefault(example.split, set()).add(example.task)
    examined, probed = tasks.get("evaluation", set()), tasks.get("probe", set())
    return dict.fromkeys(sorted(examined - probed), default) | dict(chosen)


def require_choices(chosen: dict[str, str], tasks: Iterable[str], file: Path) -> None:
    """Raise for every task that has questions to ask but no chosen strategy."""
    hint = "a task needs probe questions: raise its size or tasks.splits.probe_fraction, or drop its fixed split"
    raise_all(
        Orca2Error(f"no strategy was chosen for task `{task}`", str(file), hint)
        for task in sorted(set(tasks) - set(chosen))
    )


def _by_group(rows: Iterable[_Row], groups: Mapping[str, str]) -> dict[str, dict[str, list[_Row]]]:
    """Rows by group and strategy."""
    found: dict[str, dict[str, list[_Row]]] = {}
    for row in rows:
        found.setdefault(groups.get(row.task, row.task), {}).setdefault(row.strategy, []).append(row)
    return found


def _choose(answers: Sequence[Mapping[str, Sequence[Graded]]], raced: Mapping[str, set[Answer]] | None) -> Choice:
    """Choose for one group.

    Args:
        answers: those of each model that judges, by strategy; what the first says costs decides.
        raced: by strategy what a race asked of it; None where all were asked everything.
    """
    names = [name for name in answers[0] if all(name in rows for rows in answers)]
    everything = {answer_of(row) for rows in answers for name in names for row in rows[name]}
    asked = dict.fromkeys(names, everything) if raced is None else raced
    first, *others = judges = [Judged({name: rows[name] for name in names}, asked) for rows in answers]
    winner = _cheapest(judges, SIGNIFICANCE if raced is None else _RACED)
    choice = Choice(
        task="",
        strategy=winner,
        verdict="only candidate",
        p_value=None,
        runner_up=None,
        smallest_lead=None,
        scores=first.scores(winner),
        student_scores=others[0].scores(winner) if others else (),
    )
    if len(names) == 1:
        return choice
    rivals = [score.strategy for score in choice.scores if score.strategy in first.last and score.strategy != winner]
    rival = first.best if first.best != winner else max(rivals, key=lambda name: first.p_value(winner, name))
    alone = set.intersection(*(judge.not_behind(SIGNIFICANCE) for judge in judges)) == {winner}
    return replace(
        choice,
        verdict="significant" if alone else "no significant winner",
        p_value=first.p_value(winner, rival),
        runner_up=rival,
        smallest_lead=first.smallest_lead(winner, rival),
    )


def _cheapest(judges: Sequence[Judged], significance: float) -> str:
    """Of those that no judge shows to be worse than its best; where there is none, of those most often right."""
    last = judges[0].last
    level = set(last).intersection(*(judge.not_behind(significance) for judge in judges))
    rights = {name: sum(judge.right(name) for judge in judges) for name in last}
    level = level or {name for name in last if rights[name] == max(rights.values())}
    return min(level, key=lambda name: (judges[0].cost(name), -judges[0].right(name), name))


def _evidence(choice: Choice) -> dict[str, object]:
    told = asdict(choice)
    scores = {name: [_rounded(score) for score in told[name]] for name in ("scores", "student_scores") if told[name]}
    return _rounded({key: told[key] for key in ("verdict", "p_value", "runner_up", "smallest_lead")}) | scores


def _rounded(values: dict[str, object]) -> dict[str, object]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
