"""Published sets through the sources, by parameters alone: rows read, kept, left out, and what becomes of their golds.

    python benchmarks/sets.py FOLDER

FOLDER holds `gsm8k/{train,test}.jsonl`, `bbh/*.json` and `agieval/*.jsonl`, as their authors publish them; what is not
there is said to be absent. Each known answer, given back on an answer line, must be right, and another row's wrong.
"""

import argparse
import time
from pathlib import Path

from orca2.core.rows import Example
from orca2.project.metrics import reasons_of
from orca2.recipe.graders import GRADERS
from orca2.recipe.graders.golds import rejected_golds
from orca2.recipe.graders.verdict import judge
from orca2.recipe.sources import SourceConfig, read_source

BBH = {"question_column": "input", "answer_column": "target", "config": {"field": "examples"}}
OPTIONS = {"grader": "choice", "choices": "options", "answer_column": "label"}
SETS: dict[str, dict[str, object]] = {
    "gsm8k/train.jsonl": {"grader": "numeric", "answer_pattern": "#### (.+)"},
    "gsm8k/test.jsonl": {"grader": "numeric", "answer_pattern": "#### (.+)"},
    "bbh/date_understanding.json": BBH | {"grader": "choice", "choices": "input"},
    "bbh/boolean_expressions.json": BBH | {"grader": "boolean"},
    "bbh/object_counting.json": BBH | {"grader": "numeric"},
    "agieval/sat-math.jsonl": OPTIONS | {"question": "{{ passage }}\n\n{{ question }}"},
}
"""How each is declared in params.yaml."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Published sets through the sources.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, fields in SETS.items():
        if not (folder / name).is_file():
            print(f"{name}: absent")
            continue
        begin = time.perf_counter()
        values = {"kind": "file", "name": str(folder / name), "category": "any", "licence": "see the set"}
        reading = read_source(Path(name).stem, SourceConfig(**values | fields), 42)
        seconds = time.perf_counter() - begin
        reasons = reasons_of([*reading.rejected, *rejected_golds(reading.unsound)])
        left_out = "".join(f", {count} {reason}" for reason, count in sorted(reasons.items()))
        texts = len({example.question for example in reading.examples})
        print(f"{name}: {reading.num_read} rows read, {len(reading.examples)} kept{left_out}", end="; ")
        print(f"{texts} different questions, golds right {right(reading.examples)}, others right", end=" ")
        print(f"{right(reading.examples, others=True)}, {seconds:.1f} s")


def right(examples: list[Example], *, others: bool = False) -> str:
    """How many answers are right: each row's own, or the next one that differs."""
    answers = [example.answer for example in examples]
    if others:
        answers = [_another(answers, number) for number in range(len(answers))]
    verdicts = [
        judge(GRADERS[e.grader], e.grader, e.answer, f"Answer: {answer}", e.metadata).lenient_correct
        for e, answer in zip(examples, answers, strict=True)
    ]
    return f"{sum(verdicts)} of {len(verdicts)}"


def _another(answers: list[str], number: int) -> str:
    """The next answer that is not this one."""
    later = answers[number:] + answers[:number]
    return next(answer for answer in later if answer != answers[number])


if __name__ == "__main__":
    main()
