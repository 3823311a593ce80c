"""A worked turn of a template is never a held-out question, nor nearly one."""

from pathlib import Path

import pytest

from orca2.core.errors import Orca2Error
from orca2.recipe.likeness.worked_turns import refuse_worked_turns
from orca2.recipe.templates import Templates
from tests.examples import ROOT, example, write_templates

BASE = "Nina packed 36 boxes on Monday, and a third as many on Friday. How many boxes did she pack in all?"
TURNS = (
    "{{% call user() %}}{worked}{{% endcall %}}{{% call assistant() %}}Answer: 48{{% endcall %}}"
    "{{% call user() %}}{{{{ question }}}}{{% endcall %}}"
)


def refused(folder: Path, worked: str, *questions: str) -> None:
    templates = Templates(write_templates(folder, strategies__worked=TURNS.format(worked=worked)))
    held_out = [example(row_id=f"{i}" * 64, question=text, split="evaluation") for i, text in enumerate(questions)]
    refuse_worked_turns(templates, templates.files_for(["worked", "direct"], held_out), held_out)


@pytest.mark.parametrize(
    ("worked", "words"),
    [
        (f"Question: {BASE.upper()}", "equals"),
        (BASE.replace("Nina", "Mara"), "nearly equals"),
        (f"First some other text that is long, then this very one: {BASE} Say it in one word or two.", "holds much of"),
    ],
)
def test_a_worked_turn_that_is_a_held_out_question_is_an_error_that_names_both(tmp_path, worked, words):
    with pytest.raises(Orca2Error, match=rf"strategies/worked.j2: a worked question {words} .* question 11111"):
        refused(tmp_path, worked, "Another one?", BASE)


def test_another_worked_turn_is_no_error(tmp_path):
    refused(tmp_path, BASE.replace("36", "37"), "Another one?", BASE)
    refused(tmp_path, BASE)


def test_an_instruction_that_all_questions_of_a_small_task_share_makes_no_worked_turn_a_held_out_question(tmp_path):
    instruction = "Solve the following problem. Give the answer as a list of words that stand between commas. Reverse: "
    words = ["fig, oak", "elm, ash", "yew, bay", "ivy, rue", "may, tea", "hop, rye"]
    turns = TURNS.format(worked="WORKED").replace(
        "{% call user() %}WORKED{% endcall %}{% call assistant() %}Answer: 48{% endcall %}",
        "".join(
            f"{{% call user() %}}{instruction}{pair}{{% endcall %}}{{% call assistant() %}}Answer: b{{% endcall %}}"
            for pair in words
        ),
    )
    templates = Templates(write_templates(tmp_path, strategies__worked=turns))
    questions = [instruction + "moss, fern", instruction + "palm, pine"]
    held_out = [example(row_id=f"{i}" * 64, question=q, split="evaluation") for i, q in enumerate(questions)]
    refuse_worked_turns(templates, templates.files_for(["worked"], held_out), held_out)
    again = [example(row_id="9" * 64, question=instruction + words[0], split="evaluation")]
    with pytest.raises(Orca2Error, match="equals the held-out question 9999"):
        refuse_worked_turns(templates, templates.files_for(["worked"], again), again)


def test_the_shipped_worked_turns_are_none_of_the_questions_that_the_shipped_sources_hold_out():
    from dataclasses import dataclass

    from orca2.core import config
    from orca2.recipe.tasks import TasksConfig, collect

    @dataclass(frozen=True, kw_only=True)
    class Params(config.Sections):
        seed: int
        tasks: TasksConfig

    params, templates = config.load(Params, ROOT / "params.yaml"), Templates(ROOT / "templates")
    held_out = [e for e in collect(params.tasks, params.seed)[0] if e.split == "evaluation"]
    files = templates.files_for(templates.strategies, held_out)
    assert len(files) > 10
    refuse_worked_turns(templates, files, held_out)
