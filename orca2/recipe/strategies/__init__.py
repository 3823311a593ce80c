"""Choose one reasoning strategy per task from probed and graded answers (Orca 2, section 3; the paper states no rule).

Our rule: of the strategies that are not shown to be worse than the most accurate one, the cheapest in tokens. Shown is
what the exact McNemar test on the same questions finds at 5 %; luck on one question buys nothing. A question that a
strategy got no answer to counts against it.

What the choice rests on is written beside it, for people to review in a diff. Every strategy had its chance to be
chosen, so the intervals hold for all of them at once, and that of the chosen one holds its true accuracy in at least 95
of 100 probes. The smallest lead says what a probe of this size could not have shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import yaml

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Example, Graded
from orca2.recipe.statistics import exact_share, mcnemar, smallest_lead

_SIGNIFICANCE = 0.05
_Answer = tuple[str, str, int]
"""Task, question and sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one strategy did on the probe questions of one task, or of one category."""

    strategy: str
    correct: int
    questions: int
    """Questions asked, answered or not."""
    accuracy: float
    low: float
    """Ends of its interval: those of all candidates hold together in 95 % of probes, whichever is chosen."""
    high: float
    p_value: float | None
    """Exact two-sided McNemar test against the most accurate candidate; None for that one."""
    format_ok: float
    """Share of answers with an `Answer:` line."""
    answer_tokens: float
    """Mean tokens of an answer; with those of its prompt, the cost that decides between the best."""
    prompt_tokens: float

    @property
    def cost(self) -> float:
        """Mean tokens of a request and its answer."""
        return self.answer_tokens + self.prompt_tokens


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
    """All candidates, the chosen one first, then by accuracy."""


def select(graded: Iterable[Graded], groups: Mapping[str, str] | None = None) -> list[Choice]:
    """One choice per task, by task name.

    Args:
        graded: the probe's answers.
        groups: task to what it shares its choice with, such as its category; a task that is not named is its own.
    """
    by_group: dict[str, dict[str, list[Graded]]] = {}
    tasks: dict[str, str] = {}
    for row in graded:
        group = tasks.setdefault(row.task, (groups or {}).get(row.task, row.task))
        by_group.setdefault(group, {}).setdefault(row.strategy, []).append(row)
    chosen = {group: _choose(by_strategy) for group, by_strategy in by_group.items()}
    return [replace(chosen[tasks[task]], task=task) for task in sorted(tasks)]


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


def require_choices(chosen: dict[str, str], tasks: Iterable[str], file: Path) -> None:
    """Raise for every task that has questions to ask but no chosen strategy."""
    hint = "a task needs probe questions: raise its size or tasks.splits.probe_fraction, or drop its fixed split"
    raise_all(
        Orca2Error(f"no strategy was chosen for task `{task}`", str(file), hint)
        for task in sorted(set(tasks) - set(chosen))
    )


def _choose(by_strategy: Mapping[str, Sequence[Graded]]) -> Choice:
    asked = {_answer(row) for rows in by_strategy.values() for row in rows}
    right = {name: {_answer(row) for row in rows if row.strict_correct} for name, rows in by_strategy.items()}
    best = min(right, key=lambda name: (-len(right[name]), _cost(by_strategy[name]), name))
    level = 1 - _SIGNIFICANCE / len(right)
    scores = [_score(name, by_strategy[name], right, best, len(asked), level) for name in right]
    within = [score for score in scores if score.p_value is None or score.p_value >= _SIGNIFICANCE]
    winner = min(within, key=lambda score: (score.cost, -score.accuracy, score.strategy))
    others = sorted((s for s in scores if s != winner), key=lambda s: (-s.accuracy, s.cost, s.strategy))
    choice = Choice(
        task="",
        strategy=winner.strategy,
        verdict="only candidate",
        p_value=None,
        runner_up=None,
        smallest_lead=None,
        scores=(winner, *others),
    )
    if not others:
        return choice
    first = right[winner.strategy]
    p_values = {s.strategy: mcnemar(len(first - right[s.strategy]), len(right[s.strategy] - first)) for s in others}
    rival = best if best != winner.strategy else max(p_values, key=p_values.__getitem__)
    return replace(
        choice,
        verdict="significant" if within == [winner] else "no significant winner",
        p_value=p_values[rival],
        runner_up=rival,
        smallest_lead=smallest_lead(len(first ^ right[rival]), len(asked)),
    )


def _answer(row: Graded) -> _Answer:
    return row.task, row.row_id, row.sample_index


def _cost(rows: Sequence[Graded]) -> float:
    return sum(row.completion_tokens + row.prompt_tokens for row in rows) / len(rows)


def _score(
    name: str, rows: Sequence[Graded], right: Mapping[str, set[_Answer]], best: str, questions: int, level: float
) -> Score:
    low, high = exact_share(len(right[name]), questions, level)
    better, worse = len(right[best] - right[name]), len(right[name] - right[best])
    return Score(
        strategy=name,
        correct=len(right[name]),
        questions=questions,
        accuracy=len(right[name]) / questions,
        low=low,
        high=high,
        p_value=None if name == best else mcnemar(better, worse),
        format_ok=sum(row.strict_answer is not None for row in rows) / len(rows),
        answer_tokens=sum(row.completion_tokens for row in rows) / len(rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows) / len(rows),
    )


def _evidence(choice: Choice) -> dict[str, object]:
    told = asdict(choice)
    scores = [_rounded(score) for score in told.pop("scores")]
    return _rounded({key: told[key] for key in ("verdict", "p_value", "runner_up", "smallest_lead")}) | {
        "scores": scores
    }


def _rounded(values: dict[str, object]) -> dict[str, object]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
