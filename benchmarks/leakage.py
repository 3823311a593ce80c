"""What the audit of erasing finds, and what it takes for residue that is none.

    python benchmarks/leakage.py FILE

FILE holds human answers as JSON lines of `question` and `answer`, such as GSM8K's train.jsonl. Each answer is audited
against every technique of this project, once under its general template and once under each task's version, with its
worked turns; it counts as flagged when one of them flags it. Then sixty planted residues of six kinds in four scripts
(`tests/residues.py`). Claims: at least 95 % of the planted ones are found, and at most 0.5 % of the human answers
flagged.
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orca2.core.rows import Message
from orca2.recipe.erasure.residue import residue, told
from orca2.recipe.templates import Templates
from tests.examples import ROOT, example
from tests.residues import SCRIPTS, found_in, planted

QUESTION = "\0"
"""Stands for a question in the turns that are erased; no answer holds it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    rows = [json.loads(line) for line in parser.parse_args().file.read_text("utf-8").splitlines()]
    templates = Templates(ROOT / "templates")
    asked = erased_turns(templates)
    begin, kinds, flagged = time.process_time(), Counter[str](), 0
    for row in rows:
        shown = [turn.content for turn in templates.student(example(question=row["question"]), "generic").messages]
        left = [residue(row["answer"], told(erased), shown, templates.strategies) for erased in asked]
        kinds.update({one.kind for one in left if one})
        flagged += any(left)
    each, share = (time.process_time() - begin) / max(1, len(rows) * len(asked)), flagged / max(1, len(rows))
    print(f"{flagged} of {len(rows)} human answers flagged: {share:.2%} (claim: at most 0.5 %) {dict(kinds)}")
    print(f"{len(asked)} templates each, {1e6 * each:.0f} microseconds of processor an audit")
    residues = planted()
    missed = [(script, kind, text) for script, kind, text in residues if not found_in(SCRIPTS[script], text, kind)]
    count = len(residues) - len(missed)
    print(f"{count} of {len(residues)} planted residues found: {count / len(residues):.1%} (claim: at least 95 %)")
    for script, kind, text in missed:
        print(f"missed: {script}, {kind}: {text}")


def erased_turns(templates: Templates) -> list[tuple[Message, ...]]:
    """What each template of a technique tells the teacher beside the question."""
    tasks = ["any", *sorted({file.split("/")[1] for file in templates.files if file.startswith("tasks/")})]
    files = {templates.for_strategy(strategy, task, task): task for strategy in templates.strategies for task in tasks}
    rendered = [templates.render(file, example(question=QUESTION, task=task)).messages for file, task in files.items()]
    return [tuple(turn for turn in messages if turn.content != QUESTION) for messages in rendered]


if __name__ == "__main__":
    main()
