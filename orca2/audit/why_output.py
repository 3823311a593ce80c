"""The story of one question as text, in the order in which things happened."""

from collections.abc import Iterator, Mapping, Sequence

from orca2.audit.story import Answered, Choice, LeftOut, Row, Story
from orca2.core.text import lines_of, printable
from orca2.recipe.graders.known import known
from orca2.recipe.sources.origin import origin_of


def as_text(story: Story | LeftOut) -> str:
    """Question, strategy, templates, each answer with its verdict, what was erased, where it is packed."""
    return "\n".join(_lines(story)) + "\n"


def _lines(story: Story | LeftOut) -> Iterator[str]:
    yield from _left_out(story) if story["question"] is None else _asked(story)
    yield from (f"not here   {folder}: it was not built, or not checked out" for folder in story["absent"])


def _left_out(story: LeftOut) -> Iterator[str]:
    """A question that became no example."""
    yield f"{story['row_id']}  {', '.join(dict.fromkeys(printable(row['task']) for row in story['rejected']))}"
    for source in story["sources"]:
        yield f"source     {printable(source['source'])}, licence {printable(source['licence'])}"
    yield from _rejected(story["rejected"])
    for original in story["same_as"]:
        yield printable(f"same as    {original['row_id']}  {original['task']}, split {original['split']}")
        yield from _block("question", original["question"])
    yield "kept in    no artifact: nothing was asked about it"


def _rejected(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield f"rejected   by {row['stage']}: {printable(row['reason'])}  {printable(row['detail'])}".rstrip()


def _asked(story: Story) -> Iterator[str]:
    question = story["question"]
    yield printable(f"{question['row_id']}  {question['task']} ({question['category']}), split {question['split']}")
    yield f"source     {printable(question['source'])}, licence {printable(question['licence'])}"
    if said := [f"{what} {text}" for what, text in origin_of(question["metadata"]).words().items()]:
        yield f"origin     {printable(', '.join(said))}"
    yield from _block("question", question["question"])
    golds = (question["answer"], *known(question["metadata"]).answers)
    yield f"expected   {' or '.join(map(printable, golds))}  (grader {question['grader']})"
    yield f"strategy   {_strategy(story['strategy'])}"
    yield from (f"template   {file['file']}  {file['sha256'][:12]}" for file in story["templates"])
    yield from (f"model      {model['reference']}  {model['digest'][:12]}" for model in story["model"])
    for answer in story["answers"]:
        yield from _answer(answer, story["provenance"])
    for erased in story["erasure"]:
        turns = len(erased["erased"])
        student = next((turn["content"] for turn in erased["student"] if turn["role"] == "system"), "no instruction")
        yield f"erased     {turns} turn{'s' * (turns != 1)} of {erased['erased_template']}, in their place:"
        yield from _block(erased["student_template"], student)
    yield from _rejected(story["rejected"])
    for span in story["packed"]:
        end = span["start"] + span["length"]
        supervised = f"{span['supervised_start']} to {span['supervised_end']}"
        yield f"packed     sequence {span['sequence_index']}, tokens {span['start']} to {end}, loss on {supervised}"


def _strategy(choice: Choice) -> str:
    if not choice["chosen"]:
        return "none chosen yet"
    text = f"{choice['chosen']} for {choice['task']}"
    if score := choice["score"]:
        text += f", {score['correct']} of {score['questions']} on the probe"
    if second := choice["runner_up_score"]:
        text += f"; runner-up {choice['runner_up']}, {second['correct']} of {second['questions']} ({choice['verdict']})"
    return text


def _answer(answer: Answered, provenance: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    request, said = answer["request"], answer["answer"]
    sampling = ", ".join(f"{name} {value}" for name, value in request["sampling"].items() if value != [])
    engine = provenance.get(request["key"])
    yield f"request    {request['key'][:12]}  {request['strategy']}, sample {request['sample_index']}, {sampling}"
    for turn in request["messages"]:
        yield from _block(turn["role"], turn["content"])
    if said is None:
        yield "answer     none"
        return
    by = f"{engine.get('engine', '?')} {engine.get('version', '')}".strip() if engine else "not in this store"
    yield f"answer     {said['completion_tokens']} tokens, finish {said['finish_reason']}, by {by}"
    yield from _block("said", said["text"])
    if "strict_correct" in said:
        verdict = "right" if said["strict_correct"] else "wrong"
        read = "no `Answer:` line" if said["strict_answer"] is None else printable(said["strict_answer"])
        yield f"grade      {verdict}: {read}{', kept for training' if answer['kept'] else ''}"


def _block(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(lines_of(text)):
        yield f"  {name if number == 0 else '':<9}| {line}"
