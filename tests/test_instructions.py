"""An instruction that all questions of a task share makes no two of them alike, however few there are."""

import json

from hypothesis import given
from hypothesis import strategies as st

from orca2.recipe.likeness.instructions import without_instructions
from orca2.recipe.sources import SourceConfig
from orca2.recipe.tasks import TasksConfig, collect

INSTRUCTION = (
    "Below stands one English word. Say what it is in French, and write nothing beside that word: no article, no "
    "explanation and no second guess, because a program reads your answer. The word is"
)
WORDS = [("dog", "chien"), ("cat", "chat"), ("sun", "soleil"), ("sea", "mer"), ("bed", "lit"), ("key", "cle")]


def said(*texts, task="t"):
    return without_instructions([task] * len(texts), texts)


def test_what_most_begin_or_end_with_is_one_word_of_each():
    words = ["dog", "big cat", "sun", "sea"]
    texts = [f"say now what it is in french {word} and write nothing but that word" for word in words]
    bare = said(*texts, "what is one and one")
    (first,), (last,) = ({text.split(" ")[end] for text in bare[:-1]} for end in (0, -1))
    assert bare == [*(f"{first} {word} {last}" for word in words), "what is one and one"]


def test_the_same_words_under_another_instruction_are_another_question():
    asked = {task: [f"say now what it is in {task} {word}" for word in "abcd"] for task in ("french", "german")}
    tasks = [task for task, texts in asked.items() for _ in texts]
    bare = without_instructions(tasks, [text for texts in asked.values() for text in texts])
    assert len(set(bare)) == 8
    assert {len(text.split(" ")) for text in bare} == {2}


def test_two_that_are_nearly_one_question_keep_their_words():
    near = ["nina packed 36 boxes on monday", "mara packed 36 boxes on monday", "nina packed 36 boxes on friday"]
    assert said(*near) == near


def test_a_short_beginning_is_a_part_of_its_question():
    texts = [f"what is {word}" for word in "abcdef"]
    assert said(*texts) == texts


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=9).map(" ".join), min_size=1, unique=True))
def test_different_questions_stay_different(texts):
    assert len(set(said(*texts))) == len(texts)


def test_a_handful_of_questions_under_a_long_instruction_loses_none(tmp_path):
    file = tmp_path / "words.jsonl"
    file.write_text("".join(json.dumps({"question": f"{INSTRUCTION} {w}.", "answer": a}) + "\n" for w, a in WORDS))
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text(json.dumps({"question": f"{INSTRUCTION} pen.", "answer": "stylo"}) + "\n")
    common = {"kind": "file", "category": "words", "licence": "CC0-1.0", "task": "french"}
    sources = {
        "words": SourceConfig(name=str(file), split="train", **common),
        "held_out": SourceConfig(name=str(held_out), split="evaluation", **common),
        "probed": SourceConfig(kind="reasoning_gym", name="lcm", size=9, category="sums", licence="MIT", split="probe"),
    }
    sources["french"] = SourceConfig(name=str(held_out), split="probe", **common)
    examples, _, _ = collect(TasksConfig(sources=sources), seed=1)
    assert sum(example.task == "french" and example.split == "train" for example in examples) == len(WORDS)
