"""The stage that probes, with a model that answers over HTTP: what it asks in which round, and what it writes."""

from collections import Counter
from contextlib import chdir

import pytest

from orca2.core.errors import Orca2Error
from orca2.core.rows import Example, Graded, Rejected, Request
from orca2.project.artifacts import CHOICES, EXAMPLES, PROBE_REQUESTS, PROBED, STUDENT_PROBED, rejected
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.models import prepare, write_prepared
from orca2.recipe.strategies import read_choices
from orca2.recipe.strategies.racing import generations, rounds
from stages import probe, select_strategies
from tests.endpoint import Endpoint, fails, says
from tests.examples import example, write_templates, write_yaml

TASKS, QUESTIONS, MAX_TOKENS = ("x", "y"), 15, 32
TURN = "{% call system() %}Be brief.{% endcall %}{% call user() %}{{ question }} NAME{% endcall %}"
TEMPLATES = {f"strategies__{name}": TURN.replace("NAME", name) for name in ("always", "mostly", "seldom")}
RIGHT = {"always": 1, "mostly": 2, "seldom": 7}
"""Each is right on every question whose number it divides."""
RACE = 2 * generations(3, QUESTIONS)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.fixture
def endpoint():
    """Knows every answer, and gives it as often as the technique is right."""
    with Endpoint() as endpoint:
        for task in TASKS:
            for number in range(QUESTIONS):
                for name, every in RIGHT.items():
                    text = f"Answer: {number if number % every == 0 else 'none'}"
                    endpoint.faults_of[f"{task}: {number}? {name}"] = [says(content=text)] * 9
        yield endpoint


def project(root, endpoint, max_new_tokens=None, failure_share=0.0, **settings):
    """A folder with questions, templates and two models; nothing is asked yet."""
    write_templates(root / "templates", **TEMPLATES)
    settings = {"strategies": list(RIGHT), "sampling": {"temperature": 0.0, "max_tokens": MAX_TOKENS}} | settings
    http = {"base_url": endpoint.base_url, "concurrency": 2, "max_failure_share": failure_share}
    generation = {"max_new_tokens": max_new_tokens, "http": http}
    params = {"seed": 3, "probe": settings, "grade": {"keep": "correct"}, "cluster": {"generation": generation}}
    write_yaml(root / "params.yaml", params)
    with chdir(root):
        write_prepared({role: prepare(f"http:{role}@1") for role in ("teacher", "student")})
        write_rows(EXAMPLES.path, Example, [
            example(row_id=f"{task}{i:02d}".encode().hex().rjust(64, "0"), task=task, category="c", split="probe",
                    question=f"{task}: {i}?", answer=str(i))
            for task in TASKS for i in range(QUESTIONS)
        ])  # fmt: skip
    return root


def run(root, monkeypatch, stage=probe):
    """The stage there, with a store of the folder's own."""
    monkeypatch.setenv("ORCA2_STORE", str(root / "store"))
    with chdir(root):
        stage.main()


def asked(endpoint):
    """Of how many questions each technique was asked."""
    return Counter(question.split()[-1] for question in set(endpoint.questions()))


def written(root):
    return {
        file.relative_to(root): file.read_bytes() for file in (root / "data" / "probe").rglob("*") if file.is_file()
    }


def test_without_a_race_everything_is_asked(tmp_path, endpoint, monkeypatch):
    run(project(tmp_path, endpoint), monkeypatch)
    assert asked(endpoint) == dict.fromkeys(RIGHT, 2 * QUESTIONS)


def test_a_race_asks_in_rounds_and_the_worst_no_more(tmp_path, endpoint, monkeypatch):
    root = project(tmp_path, endpoint, race=True)
    run(root, monkeypatch)
    first, last = rounds(3, QUESTIONS)
    assert asked(endpoint) == {"always": 2 * last, "mostly": 2 * last, "seldom": 2 * first}
    assert asked(endpoint).total() == RACE <= 0.35 * 3 * 2 * QUESTIONS + 6
    in_round_one = endpoint.questions()[: 2 * 3 * first]
    assert not [q for q in endpoint.questions()[2 * 3 * first :] if q.endswith("seldom")]
    assert {q.split("?")[0] for q in in_round_one if q.endswith("always")} == {
        q.split("?")[0] for q in in_round_one if q.endswith("seldom")
    }
    requests, graded = read_rows(root / PROBE_REQUESTS.path, Request), read_rows(root / PROBED.path, Graded)
    cells = {(row.row_id, row.strategy) for row in graded}
    assert len(graded) == RACE == len(cells)
    assert {(row.row_id, row.strategy) for row in requests} == cells
    run(root, monkeypatch, select_strategies)
    assert read_choices(root / CHOICES) == {"x": "always", "y": "always"}


def whole_race(folder, endpoint, monkeypatch):
    """A race that nothing disturbed: its folder, and the questions of it in the order in which they were asked."""
    folder.mkdir()
    root = project(folder, endpoint, race=True)
    run(root, monkeypatch)
    questions = endpoint.questions()
    endpoint.seen.clear()
    return root, questions


def test_a_race_that_is_cut_off_asks_for_the_rest_alone_and_gives_the_same_bytes(tmp_path, endpoint, monkeypatch):
    whole, questions = whole_race(tmp_path / "whole", endpoint, monkeypatch)
    refused = [questions[0], questions[-1]]  # of the first round and of the last
    for question in refused:
        endpoint.faults_of[question].insert(0, fails(400))
    (tmp_path / "cut").mkdir()
    root = project(tmp_path / "cut", endpoint, race=True)
    for _ in refused:
        with pytest.raises(Orca2Error, match="have no answer"):
            run(root, monkeypatch)
        assert not (root / PROBED.path).exists()
    run(root, monkeypatch)
    assert set(endpoint.questions()) == set(questions)
    assert {q for q, number in Counter(endpoint.questions()).items() if number > 1} == set(refused)
    assert written(root) == written(whole)


def test_after_the_full_grid_a_race_costs_nothing_and_keeps_what_it_would_have_asked(tmp_path, endpoint, monkeypatch):
    for name in ("grid", "race"):
        (tmp_path / name).mkdir()
    root = project(tmp_path / "grid", endpoint)
    run(root, monkeypatch)
    number = len(endpoint.questions())
    run(project(tmp_path / "grid", endpoint, max_new_tokens=0, race=True), monkeypatch)
    assert len(endpoint.questions()) == number
    run(project(tmp_path / "race", endpoint, race=True), monkeypatch)
    assert written(root) == written(tmp_path / "race")


def test_a_race_stops_before_its_first_question_where_all_of_it_is_beyond_the_budget(tmp_path, endpoint, monkeypatch):
    with pytest.raises(Orca2Error, match=f"{RACE} requests could generate {RACE * MAX_TOKENS} tokens"):
        run(project(tmp_path, endpoint, max_new_tokens=RACE * MAX_TOKENS - 1, race=True), monkeypatch)
    assert not endpoint.seen
    run(project(tmp_path, endpoint, max_new_tokens=RACE * MAX_TOKENS, race=True), monkeypatch)
    assert len(endpoint.seen) == RACE


def test_an_answer_that_never_comes_is_rejected_once_and_counts_as_asked(tmp_path, endpoint, monkeypatch):
    _, questions = whole_race(tmp_path / "whole", endpoint, monkeypatch)
    endpoint.faults_of[questions[0]].insert(0, fails(400))
    (tmp_path / "torn").mkdir()
    root = project(tmp_path / "torn", endpoint, failure_share=0.9, race=True)
    run(root, monkeypatch)
    (lost,) = read_rows(root / rejected("probe").path, Rejected)
    requests = {(r.row_id, r.strategy) for r in read_rows(root / PROBE_REQUESTS.path, Request)}
    graded = {(r.row_id, r.strategy) for r in read_rows(root / PROBED.path, Graded)}
    assert requests - graded == {(lost.row_id, lost.strategy)}


@pytest.mark.parametrize(("judge", "models"), [("teacher", {"teacher"}), ("student", {"student"})])
def test_the_one_who_judges_is_asked(judge, models, tmp_path, endpoint, monkeypatch):
    root = project(tmp_path, endpoint, judge=judge)
    run(root, monkeypatch)
    assert {body["model"] for _, _, body in endpoint.seen} == models
    assert len(read_rows(root / PROBED.path, Graded)) == 3 * 2 * QUESTIONS
    assert not (root / STUDENT_PROBED.path).exists()


@pytest.mark.parametrize("race", [False, True])
def test_where_both_judge_both_are_asked_the_same_and_the_file_shows_both(race, tmp_path, endpoint, monkeypatch):
    root = project(tmp_path, endpoint, judge="both", race=race)
    run(root, monkeypatch)
    teacher, student = (read_rows(root / artifact.path, Graded) for artifact in (PROBED, STUDENT_PROBED))
    assert {(r.row_id, r.strategy) for r in teacher} == {(r.row_id, r.strategy) for r in student}
    assert not {row.key for row in teacher} & {row.key for row in student}
    run(root, monkeypatch, select_strategies)
    assert "student_scores:" in (root / CHOICES).read_text("utf-8")
