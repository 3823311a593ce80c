"""A grader, a source, a filter, an engine of somebody's own: each one file, named or registered once, and no more."""

import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from orca2.audit.check import check
from orca2.core import config
from orca2.core.errors import Orca2Error
from orca2.core.rows import Answer, Outcome
from orca2.engines.base import Batch
from orca2.engines.config import GenerationConfig
from orca2.engines.generation import answer
from orca2.engines.registry import ENGINES
from orca2.recipe.filtering import GradeConfig, keep
from orca2.recipe.grading import grade
from orca2.recipe.models import Model
from orca2.recipe.tasks import TasksConfig, collect
from orca2.store.store import Store
from tests.examples import ROOT, example, generation, graded, request, turns, write_yaml

SOURCES = """
from orca2.recipe.sources.base import Record

def squares(name, source, seed):
    for number in range(source.size):
        columns = {"question": f"{name}: {number + seed % 10} squared?", "answer": (number + seed % 10) ** 2}
        yield Record(columns, {"number": number})

def plain(name, source, seed):
    yield {"question": "q", "answer": "1"}

def nothing(name, source, seed):
    yield Record({"question": "q", "answer": None})
"""
GRADERS = """
import json
from orca2.recipe.graders.base import Grader

def soundex(expected, given, metadata):
    first = lambda word: word[:1].upper() + "".join(letter for letter in word[1:].lower() if letter not in "aeiouhwy")
    return first(expected) == first(given)

def nearby(expected, given, metadata):
    return abs(int(expected) - int(given)) <= json.loads(metadata)["slack"]

nearby_number = Grader(judge=nearby, find=lambda text: next(filter(str.isdigit, text.split()), None))

def forgetful(expected, given, metadata):
    expected == given
"""
FILTERS = """
def short_enough(row):
    return len(row.text) < 20

def no_apology(row):
    return "sorry" not in row.text.lower()

def forgetful(row):
    len(row.text) < 20
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The root of a project with three modules of its user's own."""
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    for name, text in (("my_sources", SOURCES), ("my_graders", GRADERS), ("my_filters", FILTERS)):
        (tmp_path / f"{name}.py").write_text(text)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]
    sys.path.remove(str(tmp_path))


def tasks(project, **fields):
    source = {"kind": "my_sources:squares", "name": "any", "category": "c", "licence": "MIT", "size": 30} | fields
    section = {"tasks": {"sources": {"powers": source}}}
    return config.load_section("tasks", TasksConfig, write_yaml(project / "params.yaml", section))


def test_a_source_is_a_function_in_a_file_named_by_import_path(project):
    examples, rejected, num_read = collect(tasks(project, grader="my_graders:soundex"), 42)
    assert (len(examples), len(rejected), num_read) == (30, 0, 30)
    assert {e.task for e in examples} == {"powers"}
    assert {e.source for e in examples} == {"my_sources:squares:any"}
    assert {e.grader for e in examples} == {"my_graders:soundex"}
    assert '{"number":3}' in {e.metadata for e in examples}
    assert examples != collect(tasks(project), 43)[0]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("my_sources:plain", "its reader gave dict, not a Record of columns"),
        ("my_sources:nothing", "row 1: `answer` is empty"),
        ("my_sources:absent", "module my_sources has no 'absent'"),
        ("no_such_file:read", "put no_such_file.py in the project's root"),
    ],
)
def test_a_source_that_does_otherwise_is_told_with_where(project, kind, words):
    with pytest.raises(Orca2Error) as caught:
        collect(tasks(project, kind=kind), 42)
    assert "params.yaml: tasks.sources.powers" in str(caught.value)
    assert words in str(caught.value)


def test_a_grader_is_a_function_in_a_file_named_by_import_path(project):
    row = example(grader="my_graders:soundex", answer="Robert")
    verdicts = [grade([row], [generation(f"Answer: {name}")])[0].strict_correct for name in ("Rbert", "Rupert")]
    assert verdicts == [True, False]


def test_a_grader_that_reads_free_text_in_its_own_way_is_a_pair(project):
    row = example(grader="my_graders:nearby_number", answer="10", metadata='{"slack": 2}')
    (verdict,) = grade([row], [generation("I count 12 apples in all")])
    assert (verdict.strict_correct, verdict.lenient_correct, verdict.lenient_answer) == (False, True, "12")


def test_a_grader_that_forgets_to_return_is_told_and_judges_nothing_wrong(project):
    with pytest.raises(Orca2Error, match="which is neither True nor False"):
        grade([example(grader="my_graders:forgetful")], [generation("Answer: 5")])


def test_filters_are_functions_named_in_their_order_and_each_is_a_reason_of_its_own(project):
    rows = [graded(row_id=f"{i}" * 64, text=text) for i, text in enumerate(["Answer: 5", "Answer: 5 " * 9, "Sorry. 5"])]
    chosen = GradeConfig(keep="all", filters=("my_filters:short_enough", "my_filters:no_apology"))
    kept, rejected = keep(rows, chosen)
    assert [row.text for row in kept] == ["Answer: 5"]
    assert [row.reason for row in rejected] == [
        "left out by my_filters:short_enough",
        "left out by my_filters:no_apology",
    ]
    with pytest.raises(Orca2Error, match="filter my_filters:forgetful: gave None"):
        keep(rows, GradeConfig(keep="all", filters=("my_filters:forgetful",)))


def test_check_finds_every_import_path_that_leads_nowhere(project, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    plain = {"name": "x", "category": "c", "licence": "MIT"}
    params["tasks"]["sources"] |= {
        "one": plain | {"kind": "my_sources:absent", "grader": "gone:f"},
        "two": plain | {"kind": "my_sources:squares", "grader": "my_graders:json"},
    }
    params["grade"]["filters"] = ["my_filters:missing", "my_filters:short_enough"]
    with pytest.raises(Orca2Error) as caught:
        check(write_yaml(project / "params.yaml", params), ROOT / "templates")
    told = str(caught.value)
    for words in (
        "tasks.sources.one.kind: module my_sources has no 'absent'",
        "tasks.sources.one.grader: 'gone:f' cannot be imported",
        "tasks.sources.two.grader: 'my_graders:json' cannot be called",
        "grade.filters: module my_filters has no 'missing'",
    ):
        assert words in told
    assert told.count("\n    -> ") == 4


RECORDED = {"What is 2 + 3?": "Answer: 5", "What is 1 + 1?": "Answer: 2"}


@contextmanager
def answering_from_a_dictionary(requests, model, config):
    """A whole engine: what was said before is said again, and nothing else."""
    begin = time.time()

    def batch(request):
        text = RECORDED.get(request.messages[-1].content)
        if text is None:
            return Batch([Outcome(key=request.key, kind="failed", detail="nobody recorded it")], "", begin)
        reply = Answer(
            key=request.key, text=text, finish_reason="stop", max_tokens=request.sampling.max_tokens, prompt_tokens=9,
            completion_tokens=4,
        )  # fmt: skip
        return Batch([Outcome.of(reply, '{"engine": "recorded"}')], "", begin)

    yield map(batch, requests)


def test_an_engine_is_a_function_and_one_line_in_the_registry(tmp_path, monkeypatch):
    monkeypatch.setitem(ENGINES, "recorded", answering_from_a_dictionary)
    model = Model(folder=None, digest="m" * 64, reference="recorded:yesterday@1")
    asked = [*RECORDED, "What is 9 + 9?"]
    requests = [request(row_id=f"{i}" * 64, messages=turns(question)) for i, question in enumerate(asked)]
    run = answer(requests, model, Store(tmp_path), GenerationConfig())
    assert [row.text for row in run.generations] == list(RECORDED.values())
    assert Counter(row.detail for row in run.failures) == {"nobody recorded it": 1}
    again = answer(requests[:2], model, Store(tmp_path), GenerationConfig())
    assert (again.num_cached, again.num_generated) == (2, 0)


def test_these_plugins_are_all_there_is_to_know_of_them():
    names = ("my_sources", "my_graders", "my_filters", "recorded:")
    package = Path(ROOT / "orca2").rglob("*.py")
    mentions = {f"{f.parent.name}/{f.name}" for f in package for name in names if name in f.read_text("utf-8")}
    known = {"filtering/__init__.py", "graders/base.py", "sources/base.py"}
    assert mentions <= known, "documentation alone names them, as examples"
