"""Choose one reasoning strategy per task from probed and graded answers (Orca 2, section 3; the paper states no rule).

Our rule: the highest strict accuracy wins, a tie goes to the cheaper strategy. A question that a strategy got no answer
to counts against it. Each choice is written with its Wilson interval, its runner-up and whether the lead is significant
(exact McNemar test on the same questions), so that a person can review it in a diff.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from orca2.core.errors import Orca2Error, raise_all
from orca2.core.rows import Graded
from orca2.recipe.statistics import mcnemar, wilson

_SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one strategy did on one task's probe questions."""

    strategy: str
    correct: int
    questions: int
    """Questions of the task, answered or not."""
    accuracy: float
    low: float
    """Ends of the 95 % Wilson interval."""
    high: float
    format_ok: float
    """Share of answers with an `Answer:` line."""
    answer_tokens: float
    """Mean tokens of an answer: the cost that breaks ties."""
    prompt_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The strategy of one task, and how clear the choice was."""

    task: str
    strategy: str
    verdict: str
    """`significant`, `no significant winner`, or `only candidate`."""
    p_value: float | None
    """Exact two-sided McNemar test of winner against runner-up; None without a runner-up."""
    scores: tuple[Score, ...]
    """All candidates, best first."""


def select(graded: Iterable[Graded]) -> list[Choice]:
    """One choice per task, by task name."""
    by_task: dict[str, dict[str, list[Graded]]] = {}
    for row in graded:
        by_task.setdefault(row.task, {}).setdefault(row.strategy, []).append(row)
    return [_choose(task, by_task[task]) for task in sorted(by_task)]


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


def _choose(task: str, by_strategy: dict[str, list[Graded]]) -> Choice:
    questions = len({(row.row_id, row.sample_index) for rows in by_strategy.values() for row in rows})
    scores = sorted((_score(name, rows, questions) for name, rows in by_strategy.items()), key=_best_first)
    if len(scores) == 1:
        verdict, p_value = "only candidate", None
    else:
        p_value = _p_value(by_strategy[scores[0].strategy], by_strategy[scores[1].strategy])
        verdict = "significant" if p_value < _SIGNIFICANCE else "no significant winner"
    return Choice(task=task, strategy=scores[0].strategy, verdict=verdict, p_value=p_value, scores=tuple(scores))


def _best_first(score: Score) -> tuple[float, float, str]:
    return (-score.accuracy, score.answer_tokens + score.prompt_tokens, score.strategy)


def _score(strategy: str, rows: list[Graded], questions: int) -> Score:
    total, correct = len(rows), sum(row.strict_correct for row in rows)
    low, high = wilson(correct, questions)
    return Score(
        strategy=strategy,
        correct=correct,
        questions=questions,
        accuracy=correct / questions,
        low=low,
        high=high,
        format_ok=sum(row.strict_answer is not None for row in rows) / total,
        answer_tokens=sum(row.completion_tokens for row in rows) / total,
        prompt_tokens=sum(row.prompt_tokens for row in rows) / total,
    )


def _p_value(winner: list[Graded], runner_up: list[Graded]) -> float:
    """Of the McNemar test on the questions that only one of them got right."""
    first, second = (
        {(row.row_id, row.sample_index) for row in rows if row.strict_correct} for rows in (winner, runner_up)
    )
    return mcnemar(len(first - second), len(second - first))


def _evidence(choice: Choice) -> dict[str, object]:
    runner_up = choice.scores[1].strategy if len(choice.scores) > 1 else None
    return {
        "verdict": choice.verdict,
        "p_value": None if choice.p_value is None else round(choice.p_value, 4),
        "runner_up": runner_up,
        "scores": [
            {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(s).items()} for s in choice.scores
        ],
    }
