"""The report: complete, deterministic, offline, honest about intervals, and deaf to what a model wrote."""

import dataclasses
import itertools
import json
import math
import random
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from orca2.audit import report, report_claims, report_figures, report_inputs
from orca2.core.errors import Orca2Error
from orca2.core.rows import Chat, Graded, Message, Request, Sampling
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.erasure.residue import META, QUOTED
from orca2.recipe.evaluation.benchmarks import AVERAGE, figures
from orca2.recipe.evaluation.comparison import compare_student, compare_students
from orca2.recipe.evaluation.summary import summarise
from orca2.recipe.strategies import select, write_choices
from orca2.recipe.strategies.forms import Used
from tests.examples import example

SKILL: dict[str, tuple[float, ...]] = {
    "letter_counting": (0.0, 0.72, 0.75), "small_gcd": (0.0, 0.55, 0.53), "sums": (0.0, 0.40, 0.34),
    "leg_counting": (0.0, 0.3, 0.22), "needle": (0.0, 0.28, 0.22), "syllogism": (0.0, 0.39, 0.28),
}  # fmt: skip
"""Task to the strict accuracy of base, student and teacher."""
STRATEGIES = ("direct_answer", "step_by_step", "explain_then_answer", "guess_and_check", "recall_then_generate")
PAYLOAD = "<script>document.title = 'stolen'</script><img src=x onerror=\"document.title='stolen'\">"


TECHNIQUES: Used = {
    "recognised": 0.995,
    "models": {
        "student": {
            "needle": {"direct_answer": {"direct_answer": 4, "none": 1, "step_by_step": 35}},
            "sums": {"step_by_step": {"step_by_step": 40}},
        }
    },
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The artifacts of a small run, as the stages write them."""
    make_run(tmp_path)
    return tmp_path


def make_run(root: Path, text: str = "Three r's: s-t-r-a-w-b-e-r-r-y.\nAnswer: 3") -> None:
    (root / "metrics").mkdir(parents=True)
    rows = {model: _graded(rank) for rank, model in enumerate(report_inputs.MODELS)}
    evaluation: dict[str, Any] = {model: summarise(rows[model]) for model in rows}
    evaluation |= {"student_against": compare_student(rows, []), "techniques": TECHNIQUES}
    (root / "metrics/evaluate.json").write_text(json.dumps(evaluation))
    for stage, (rows_in, rejected) in COUNTS.items():
        count = {"rows_in": rows_in, "rows_out": rows_in - sum(rejected.values()), "rejected": rejected}
        more = {"residue": RESIDUE} if stage == "erase" else {}
        (root / f"metrics/{stage}.json").write_text(json.dumps(count | more))
    write_choices(select(_probed()), root / "data/strategies.yaml")
    _write_loss(root / "plots/train/plots/metrics/loss.tsv")
    _write_samples(root, text)


COUNTS: dict[str, tuple[int, dict[str, int]]] = {
    "prepare_tasks": (1214, {"duplicate question": 14}),
    "probe": (1200, {}),
    "render_prompts": (720, {}),
    "generate": (720, {}),
    "grade": (720, {"wrong answer": 301, "no `Answer:` line": 38, "cut by max_tokens": 4}),
    "erase": (377, {"answer quotes the erased instruction": 3}),
    "pack": (374, {"too long": 2}),
}


RESIDUE = {"step_by_step": {"answers": 377, QUOTED: 2, META: 1}, "direct_answer": {"answers": 0, QUOTED: 0, META: 0}}


def _answer(task: str, index: int, strategy: str, strict: bool, lenient: bool, tokens: int) -> Graded:
    return Graded(
        row_id=f"{task}-{index:04d}", sample_index=0, task=task, strategy=strategy, key=f"{task}{index}{strategy}",
        text="Answer: 3", finish_reason="stop", prompt_tokens=200, completion_tokens=tokens, expected="3",
        strict_answer="3" if strict or lenient else None, lenient_answer="3" if lenient else None,
        strict_correct=strict, lenient_correct=lenient,
    )  # fmt: skip


def _graded(rank: int, tasks: dict[str, tuple[float, ...]] = SKILL) -> list[Graded]:
    """40 answers a task of the model at `rank`; the base is right now and then where the format is set aside."""
    rows = []
    for task, skill in tasks.items():
        right = round(40 * skill[rank])
        lenient = right + (5 if rank == 0 else 1)
        rows += [_answer(task, i, "model", i < right, i < lenient, 40 + 9 * rank) for i in range(40)]
    return rows


def _probed() -> list[Graded]:
    draw = random.Random(7)  # noqa: S311
    rows = []
    for task, skill in SKILL.items():
        for rank, strategy in enumerate(STRATEGIES):
            chance = max(0.03, skill[2] - 0.16 * ((rank + len(task)) % 5))
            rights = [draw.random() < chance for _ in range(40)]
            rows += [_answer(task, i, strategy, right, right, 30 + 12 * rank) for i, right in enumerate(rights)]
    return rows


def _write_loss(file: Path) -> None:
    draw = random.Random(3)  # noqa: S311
    file.parent.mkdir(parents=True)
    values = [0.35 + 1.9 * math.exp(-step / 45) + draw.gauss(0, 0.06) for step in range(240)]
    file.write_text("step\tloss\n" + "".join(f"{step}\t{value}\n" for step, value in enumerate(values)))


def _write_samples(root: Path, text: str) -> None:
    chats, requests = [], []
    for task in SKILL:
        for index in range(4):
            chat, request = _sample(task, index, text)
            chats.append(chat)
            requests.append(request)
    write_rows(root / "data/chats", Chat, chats)
    write_rows(root / "data/requests", Request, requests)


def _sample(task: str, index: int, text: str) -> tuple[Chat, Request]:
    identity = {"key": f"{task}{index}", "row_id": f"{index:04d}{task}", "sample_index": 0, "task": task}
    question = Message(role="user", content="How many times does the letter r stand in “strawberry”?")
    generic = Message(role="system", content="You are a careful assistant. End with a line `Answer:`.")
    chat = Chat(
        **identity, strategy="step_by_step", erased_template="strategies/step_by_step.j2",
        student_template="student/generic.j2", messages=(generic, question, Message(role="assistant", content=text)),
    )  # fmt: skip
    worked = (
        Message(role="system", content="Spell the word, one letter at a time, and count as you go."),
        Message(role="user", content="How many times does the letter e stand in “tree”?"),
        Message(role="assistant", content="t-r-e-e.\nAnswer: 2"),
    )
    request = Request(
        **identity, strategy="step_by_step", template="strategies/step_by_step.j2", model="m" * 64,
        messages=(*worked, question), sampling=Sampling(), seed=1,
    )  # fmt: skip
    return chat, request


class _Page(HTMLParser):
    """What the page is made of: its tags with attributes, its text, and which tags were left open."""

    VOID = frozenset({"meta", "br", "img", "link", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(root: Path) -> _Page:
    return _Page(report.page(report.read_inputs(root)))


def _edit(file: Path, change: Any) -> None:
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def test_the_page_has_every_part_and_closes_every_tag(run: Path) -> None:
    page = _page(run)
    assert page.open == []
    headings = (
        "Results",
        "Which technique for which task",
        "Technique taught, technique used",
        "Training",
        "Rows in and out",
        "Sample rows",
    )
    assert all(heading in page.text for heading in headings)
    names = ("Letter counting", "Guess and check", "no significant winner", "Macro average")
    assert all(name in page.text for name in names)
    assert "301 × wrong answer, 38 × no `Answer:` line, 4 × cut by max_tokens" in page.text
    assert "Spell the word, one letter at a time" in page.text


def test_the_page_needs_nothing_beside_itself(run: Path) -> None:
    html = report.page(report.read_inputs(run))
    page = _Page(html)
    assert not {"script", "link", "iframe", "object", "img", "form"} & {tag for tag, _ in page.tags}
    targets = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "xlink:href") if name in attrs]
    assert all((target or "").startswith("#") for target in targets)
    assert not re.findall(r"url\((?!#)|@import", html)
    addresses = set(re.findall(r"https?://[^\"'\s<]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_pictures_have_names_and_ids_are_unique(run: Path) -> None:
    page = _page(run)
    pictures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(pictures) == 2
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in pictures)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_what_a_model_wrote_is_shown_and_never_run(tmp_path: Path) -> None:
    make_run(tmp_path, text=f"{PAYLOAD}</dd></dl>{{{{ 7 * 191 }}}}\nAnswer: 3")
    html = report.page(report.read_inputs(tmp_path))
    page = _Page(html)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert PAYLOAD in page.text
    assert "{{ 7 * 191 }}" in page.text and "1337" not in html


def test_a_task_name_is_data_too(run: Path) -> None:
    inputs = report.read_inputs(run)
    name = 'a<b>"$x$"&'
    evaluation = {
        model: {"macro": result["macro"], "tasks": {name: result["tasks"]["needle"]}}
        for model, result in inputs.evaluation.items()
    }
    page = _Page(report.page(dataclasses.replace(inputs, evaluation=evaluation, chosen={name: "<i>"}, evidence={})))
    assert not {"b", "i"} & {tag for tag, attrs in page.tags if tag == "i" and "style" not in attrs}
    assert page.text.count('A<b>"$x$"&') >= 3


def test_a_browser_runs_nothing_and_fetches_nothing(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no browser found: install chromium to run this test")
    make_run(tmp_path / "run", PAYLOAD)
    file = tmp_path / "index.html"
    # Without the page's own policy, escaping alone must hold.
    html = re.sub(r"<meta http-equiv[^>]*>", "", report.page(report.read_inputs(tmp_path / "run")))
    count = "performance.getEntriesByType('resource').length"
    probe = f"<script>document.documentElement.dataset.requests = {count}</script>"
    file.write_text(html.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    dom = _dump_dom(browser, file, tmp_path / "profile")
    assert "<title>orca2 report</title>" in dom
    assert 'data-requests="0"' in dom  # the probe ran, so a payload would have


def _dump_dom(browser: str, file: Path, profile: Path) -> str:
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}", "--dump-dom",
    ]  # fmt: skip
    done = subprocess.run([browser, *flags, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_equal_inputs_give_equal_bytes_anywhere(tmp_path: Path) -> None:
    written = []
    for name in ("here", "elsewhere"):
        make_run(tmp_path / name)
        report.write(report.read_inputs(tmp_path / name), tmp_path / name / "report")
        files = sorted(f for f in (tmp_path / name).rglob("*") if f.is_file())
        written.append({f.relative_to(tmp_path / name): f.read_bytes() for f in files})
    assert written[0] == written[1]
    assert {Path("report") / name for name in ("index.html", "accuracy.svg", "accuracy.png")} <= written[0].keys()
    assert not any(part in written[0][Path("report/index.html")].decode() for part in (str(tmp_path), "matplotlib"))


def test_dvc_plots_get_plain_rows(run: Path) -> None:
    inputs = report.read_inputs(run)
    points = report.accuracy_points(inputs.evaluation)
    assert len(points) == 3 * (len(SKILL) + 1)
    assert all(set(point) == {"task", "model", "accuracy", "low", "high"} for point in points)
    scores = report.strategy_points(inputs.evidence)
    assert len(scores) == len(SKILL) * len(STRATEGIES)
    assert all(set(score) == {"task", "strategy", "accuracy"} for score in scores)


def _difference(ahead: float, reach: float = 0.05) -> dict[str, float]:
    return {"ahead": ahead, "low": ahead - reach, "high": ahead + reach}


def _inputs(run: Path, **macro: tuple[dict[str, float], dict[str, float]]) -> report_inputs.Inputs:
    """The run, with other differences of its macro averages: of each role by strict and by lenient extraction."""
    inputs = report.read_inputs(run)
    readings = {role: dict(zip(("strict", "lenient"), found, strict=True)) for role, found in macro.items()}
    against: Any = {role: inputs.against[role] | {"macro": readings[role]} for role in readings}
    return dataclasses.replace(inputs, against=against)


@pytest.mark.parametrize(
    ("strict", "lenient", "sentence"),
    [
        (0.4, 0.4, "The student is ahead of its base model by 40.0 points (35.0 to 45.0)."),
        (
            0.4,
            0.02,
            "The student is ahead of its base model by 40.0 points (35.0 to 45.0), "
            "but read leniently shows no difference larger than 7.0 points.",
        ),
        (
            0.4,
            0.2,
            "The student is ahead of its base model by 40.0 points (35.0 to 45.0), "
            "read leniently by 20.0 points (15.0 to 25.0).",
        ),
        (-0.2, -0.2, "The student is behind its base model by 20.0 points (15.0 to 25.0)."),
        (-0.04, -0.04, "The student shows no difference from its base model larger than 9.0 points."),
    ],
)
def test_the_headline_says_by_how_much_or_within_how_much(
    run: Path, strict: float, lenient: float, sentence: str
) -> None:
    assert report_claims.headline(_inputs(run, base=(_difference(strict), _difference(lenient)))) == sentence


def test_nothing_that_was_compared_is_ever_called_equal_or_overlapping(run: Path) -> None:
    text = _page(run).text
    assert not re.search(r"level with|clearly|intervals overlap|do not overlap", text)


def test_the_headline_names_every_task_where_the_student_loses(run: Path) -> None:
    assert report_claims.losses(report.read_inputs(run)) == "On no task is it shown to lose."

    def lose(evaluation: Any) -> None:
        tasks = evaluation["student_against"]["base"]["tasks"]
        tasks["sums"]["lenient"]["verdict"] = tasks["needle"]["strict"]["verdict"] = "behind"
        evaluation["student_against"]["teacher"]["tasks"]["syllogism"]["strict"]["verdict"] = "behind"

    _edit(run / "metrics/evaluate.json", lose)
    told = report_claims.losses(report.read_inputs(run))
    assert told == (
        "It loses to its base model on needle (28 % against 0 %) and sums (43 % against 13 %, read leniently), "
        "and to its teacher on syllogism (40 % against 28 %)."
    )
    page = _page(run)
    assert told in page.text.replace("\u00a0", " ")
    marked = [attrs for tag, attrs in page.tags if tag == "td" and attrs.get("class") == "warning"]
    assert len(marked) == 3


TEMPLATES = {"student": "empty", "student_cautious": "cautious"}


def _with_more(run: Path, tasks: dict[str, tuple[float, ...]] | None = None) -> None:
    """The run again, with a model more and the student under a second template, on these tasks; some of a benchmark."""
    tasks = tasks or SKILL
    rows = {role: _graded(rank % 3, tasks) for rank, role in enumerate(("base", "student", "teacher"))}
    rows |= {"student_cautious": _graded(2, tasks), "last_week": _graded(1, tasks)}
    summaries: dict[str, Any] = {role: summarise(rows[role]) for role in rows}
    against = compare_students(rows, [])
    asked = [example(task=task, category=task.split("_")[0], split="evaluation") for task in tasks]
    more = figures([*asked, example(task="needle", split="probe")], summaries, against["student_against"])
    references = {role: "student:" + "b" * 40 if role == "last_week" else "path:m" for role in rows}
    roles = {role: {"model": model, "template": TEMPLATES.get(role, "empty")} for role, model in references.items()}
    told = summaries | against | more | {"techniques": TECHNIQUES, "roles": roles}
    (run / "metrics/evaluate.json").write_text(json.dumps(told))


def test_a_model_that_is_compared_and_a_second_template_are_on_the_page_like_the_others(run: Path) -> None:
    _with_more(run)
    inputs = report.read_inputs(run)
    assert list(inputs.evaluation) == ["base", "last_week", "student", "student_cautious", "teacher"]
    assert "`last_week`" not in report_claims.headline(inputs)
    assert re.fullmatch(
        r"It shows no difference from `last_week` larger than \d\.\d points\.", report_claims.compared(inputs)
    )
    ((asked, lost),) = report_claims.again(inputs).values()
    assert asked.startswith("Asked under `cautious` instead, the student is behind itself by ")
    assert all(whom in asked for whom in ("its base model", "`last_week`", "its teacher"))
    assert lost == "On no task is it shown to lose."
    page = _page(run)
    assert page.open == []
    text = page.text.replace("\u00a0", " ")
    assert asked in text and lost in text and f"last week is student:{'b' * 40} asked under empty" in text
    points = report.accuracy_points(inputs.evaluation)
    assert {point["model"] for point in points} == set(inputs.evaluation)


def test_a_model_that_was_not_compared_was_examined_by_another_version(run: Path) -> None:
    _with_more(run)
    _edit(run / "metrics/evaluate.json", lambda value: value["student_cautious_against"].pop("last_week"))
    with pytest.raises(Orca2Error, match="does not compare the student cautious with last_week"):
        report.read_inputs(run)


def test_a_role_without_a_result_is_an_error_and_no_gap(run: Path) -> None:
    _with_more(run)
    _edit(run / "metrics/evaluate.json", lambda value: value.pop("last_week"))
    with pytest.raises(Orca2Error, match="has no result of last_week"):
        report.read_inputs(run)


def test_a_model_has_a_colour_of_its_own_whatever_it_is_called() -> None:
    colours = report_figures.colour_of(["base", "paper", "ink", "student", "teacher"])
    assert colours == {"base": "base", "student": "student", "teacher": "teacher", "paper": "more1", "ink": "more2"}


def test_benchmarks_stand_before_the_tasks_and_what_was_taught_beside_them(run: Path) -> None:
    _with_more(run)
    text = _page(run).text
    order = [text.index(f"\n{name}") for name in ("Average over benchmarks", "Leg", "Letter", "Tasks that were taught")]
    assert order == sorted(order)
    told = report_claims.on_benchmarks(report.read_inputs(run))
    assert told.startswith("On the average over benchmarks the student is ahead of its base model by ")
    assert "itself" not in told and told in text.replace("\u00a0", " ")
    _edit(run / "metrics/evaluate.json", lambda value: [value["benchmarks"].pop(n) for n in (*BENCHMARKS, AVERAGE)])
    assert report_claims.on_benchmarks(report.read_inputs(run)).startswith("On the benchmark sums the student is ahead")
    assert "Benchmarks" not in _page_of_before(run)


BENCHMARKS = ("leg", "letter", "small", "syllogism")
"""But one."""


def _page_of_before(run: Path) -> str:
    shutil.rmtree(run)
    make_run(run)
    return _page(run).text


def test_a_page_of_126_tasks_scrolls_where_it_is_long_and_still_names_every_loss(run: Path) -> None:
    draw = random.Random(5)  # noqa: S311
    _with_more(
        run, {f"{'bbh' if n % 2 else 'mmlu'}_{n}": (draw.random(), draw.random(), draw.random()) for n in range(126)}
    )
    inputs = report.read_inputs(run)
    told = report_claims.losses(inputs)
    behind = {
        task
        for against in inputs.against.values()
        for task, found in against["tasks"].items()
        if "behind" in (found["strict"]["verdict"], found["lenient"]["verdict"])
    }
    assert len(behind) > 30 and all(re.search(rf"\b{task.replace('_', ' ')} \(", told) for task in behind)
    page = _page(run)
    assert told in page.text.replace("\u00a0", " ")
    assert re.search(
        r"It loses to its base model on \d+ tasks, and .*, each named below\.", report_claims.in_short(inputs)
    )
    assert sum(attrs.get("class") == "wide long" for _, attrs in page.tags) == 2
    drawn = report_figures.accuracy_figure(inputs.evaluation, "svg", report.benchmark_bars(inputs)).decode()
    assert "Bbh<" in drawn and "Bbh 1<" not in drawn


def test_an_evaluation_that_compares_nobody_was_written_by_another_version(run: Path) -> None:
    _edit(run / "metrics/evaluate.json", lambda value: value.pop("student_against"))
    with pytest.raises(Orca2Error, match="does not compare the student with base and teacher"):
        report.read_inputs(run)


def test_the_lead_says_what_part_of_a_lead_is_format(run: Path) -> None:
    text = " ".join(_page(run).text.split())
    assert "Asked 240 unseen questions of 6 tasks" in text
    assert "points are gone under lenient reading: that part is format learnt, not reasoning" in text


def test_the_lead_says_how_many_unseen_questions_have_a_near_copy_in_training(run: Path) -> None:
    assert "Unseen means" not in str(_page(run).text)
    shares = {
        "siblings": {"evaluation": 50, "but_names": 47, "but_names_and_numbers": 50},
        "sum_of_two": {"evaluation": 50, "but_names": 0, "but_names_and_numbers": 25},
    }
    _edit(run / "metrics/prepare_tasks.json", lambda counts: counts.update(near_copies=shares))
    lead = str(_page(run).text)
    assert "Of 100, 47 (47.0\u00a0%) equal one but for names or the order of words, 75 (75.0\u00a0%) but for" in lead
    assert "but for names or order siblings 47 of 50." in lead


def test_a_count_that_does_not_balance_is_marked(run: Path) -> None:
    assert "unaccounted" not in _page(run).text
    _edit(run / "metrics/grade.json", lambda count: count.update(rows_out=count["rows_out"] - 3))
    assert "3 rows unaccounted for" in _page(run).text
    _edit(run / "metrics/grade.json", lambda count: count.update(rows_out=count["rows_in"]))
    assert "343 rows too many" in _page(run).text


def test_the_heat_map_marks_the_choice_and_how_clear_it_was(run: Path) -> None:
    inputs = report.read_inputs(run)
    for row in report.heat_rows(inputs.chosen, inputs.evidence):
        assert row["strategy"] == next(iter(row["scores"]))
        assert row["verdict"] in ("significant", "no significant winner")
    classes = [attrs.get("class") or "" for tag, attrs in _page(run).tags if tag == "td"]
    assert sum("chosen" in name for name in classes) == len(SKILL) + len(TECHNIQUES["models"]["student"])


def test_the_page_shows_which_technique_was_taught_and_which_was_used(run: Path) -> None:
    text = " ".join(_page(run).text.split())
    assert "used the technique it was taught in 55.0 % of 80 answers; not on needle." in text.replace("\u00a0", " ")
    assert "the rule names 99.5 % rightly" in text.replace("\u00a0", " ")
    cells = [
        attrs["title"] for tag, attrs in _page(run).tags if tag == "td" and "answers" in (attrs.get("title") or "")
    ]
    assert cells == [f"{used} of 40 answers" for used in (4, 35, 1, 0, 40, 0)]


def test_the_page_shows_what_was_left_of_the_instructions_by_technique(run: Path) -> None:
    text = _page(run).text
    assert "TechniqueAnswersquotes the erased instructionspeaks of an instruction" in text
    assert "Step by step37721" in text
    (run / "metrics/erase.json").write_text('{"rows_in": 1, "rows_out": 1, "rejected": {}}')
    assert "What was left" not in _page(run).text


def test_an_instruction_that_was_kept_is_not_said_to_be_erased(run: Path) -> None:
    requests = read_rows(run / "data/requests", Request)
    told = {request.row_id: request.messages[0] for request in requests}
    chats = [
        dataclasses.replace(chat, messages=(told[chat.row_id], *chat.messages[1:]))
        for chat in read_rows(run / "data/chats", Chat)
    ]
    before = _page(run).text.count("Spell the word, one letter at a time")
    write_rows(run / "data/chats", Chat, chats)
    assert _page(run).text.count("Spell the word, one letter at a time") == before
    write_rows(
        run / "data/requests",
        Request,
        [dataclasses.replace(r, messages=(r.messages[0], r.messages[-1])) for r in requests],
    )
    assert "none: the student is shown all that the teacher was told" in _page(run).text


def test_a_choice_edited_by_a_person_is_called_that(run: Path) -> None:
    inputs = report.read_inputs(run)
    other = list(inputs.evidence["needle"]["scores"])[1]["strategy"]
    rows = report.heat_rows(inputs.chosen | {"needle": other}, inputs.evidence)
    assert {row["task"]: row["verdict"] for row in rows}["needle"] == "chosen by hand"


def test_samples_are_drawn_by_hash_and_not_by_order(run: Path) -> None:
    chats = [dataclasses.asdict(_sample(task, index, "Answer: 3")[0]) for task in SKILL for index in range(30)]
    drawn = report_inputs.choose_samples(chats)
    assert drawn == report_inputs.choose_samples(reversed(chats))
    assert len(drawn) == len(SKILL) * 2
    assert drawn != [chat for chat in chats if chat["row_id"][:4] in ("0000", "0001")]


def test_where_nothing_was_written_there_is_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(Orca2Error, match="nothing to report") as caught:
        report.read_inputs(tmp_path)
    assert "dvc repro" in caught.value.hint


PARTS = {
    "metrics/evaluate.json": ("Results", "evaluate has written no metrics"),
    "data/strategies.yaml": ("Which technique for which task", "no technique was chosen"),
    "plots/train": ("Training", "no training was logged"),
    "metrics": ("Rows in and out", "pack has written no metrics"),
    "data/chats": ("Sample rows", "no sample rows: data/chats is not here"),
}


@pytest.mark.parametrize("gone", [gone for n in (1, 2) for gone in itertools.combinations(PARTS, n)])
def test_what_is_absent_is_named_and_never_drawn(run: Path, gone: tuple[str, ...]) -> None:
    for name in gone:
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink(missing_ok=True)
    page = _page(run)
    assert page.open == []
    headings = {heading for heading, _ in PARTS.values()}
    absent = {PARTS[name][0] for name in gone} | ({"Results"} if "metrics" in gone else set())
    shown = {"".join(page.text.split(f"\n{h}\n")[:1]) != page.text and h for h in headings} - {False}
    assert shown == headings - absent
    assert all(PARTS[name][1] in page.text for name in gone)


def test_an_empty_evaluation_is_no_fault_of_the_file_and_no_zero(run: Path) -> None:
    """As `evaluate` writes it where no question was held out (K19)."""
    (run / "metrics/evaluate.json").write_text("{}")
    inputs = report.read_inputs(run)
    assert inputs.evaluation == {}
    assert report_claims.headline(inputs) == "No model was examined."
    assert "no model was examined: there was no held-out question" in _page(run).text
    assert report.accuracy_points(inputs.evaluation) == []


@pytest.mark.parametrize("roles", [("student",), ("base", "student"), ("teacher",), ("base", "teacher")])
def test_the_models_that_were_examined_are_compared_and_the_others_are_named(run: Path, roles: tuple[str, ...]) -> None:
    _edit(run / "metrics/evaluate.json", lambda v: [v.pop(role) for role in report_inputs.MODELS if role not in roles])
    page = _page(run)
    assert page.open == []
    for role in report_inputs.MODELS:
        assert (f"no {role} was examined" in page.text) == (role not in roles)
    sentence = report_claims.headline(report.read_inputs(run))
    assert {"its teacher": "teacher" in roles} == {"its teacher": "its teacher" in sentence or "student" not in roles}


def test_a_task_that_a_model_was_not_asked_about_is_said_to_be_that(run: Path) -> None:
    _edit(run / "metrics/evaluate.json", lambda v: v["base"]["tasks"].pop("needle"))
    assert _page(run).text.count("not asked") == 2


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics/evaluate.json", '{"base": 1}', "has no result of base"),
        ("metrics/evaluate.json", '{"pupil": {}}', "has no result of base, student, teacher"),
        ("metrics/grade.json", '{"rows_in": 1', "is not JSON"),
        ("metrics/pack.json", "[]", "lacks rows_in, rows_out, rejected"),
        ("plots/train/plots/metrics/loss.tsv", "step\taccuracy\n1\t2\n", "is not a series"),
        ("plots/train/plots/metrics/loss.tsv", "step\tloss\n", "holds no step"),
    ],
)
def test_a_spoilt_input_is_a_clear_error(run: Path, file: str, content: str, message: str) -> None:
    (run / file).write_text(content)
    with pytest.raises(Orca2Error, match=message) as caught:
        report.read_inputs(run)
    assert caught.value.where.endswith(file) and "dvc repro" in caught.value.hint


def test_a_sample_without_its_request_is_an_error(run: Path) -> None:
    shutil.rmtree(run / "data/requests")
    write_rows(run / "data/requests", Request, [])
    with pytest.raises(Orca2Error, match="has no request"):
        report.read_inputs(run)


def test_running_means_agree_with_the_naive_ones() -> None:
    draw = random.Random(1)  # noqa: S311
    values = [draw.random() for _ in range(50)]
    naive = [sum(v) / len(v) for v in (values[max(0, i - 3) : i + 4] for i in range(50))]
    assert report_figures.running_means(values, 3) == pytest.approx(naive)


def test_one_step_and_a_model_always_right_can_be_drawn(run: Path) -> None:
    inputs = report.read_inputs(run)
    sure = {"accuracy": 1.0, "low": 0.9, "high": 1.0}
    evaluation = json.loads(json.dumps(inputs.evaluation))
    evaluation["teacher"]["macro"] |= {"strict": sure, "lenient": sure}
    html = report.page(dataclasses.replace(inputs, loss=[(0, 2.5)], evaluation=evaluation))
    assert "over 1 step:" in " ".join(_Page(html).text.split())
    assert b"DOCTYPE" not in report_figures.accuracy_figure(evaluation, "svg")


def test_a_long_task_name_is_broken_over_lines(run: Path) -> None:
    evaluation = report.read_inputs(run).evaluation
    for result in evaluation.values():
        result["tasks"] = {"logical_deduction_five_objects": result["tasks"]["needle"]}
    assert b">Logical deduction<" in report_figures.accuracy_figure(evaluation, "svg")


def test_the_stage_writes_under_the_working_folder(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from stages.report import main

    monkeypatch.chdir(run)
    main()
    assert (run / "report/index.html").is_file() and not list((run / "report").glob(".*"))
    assert len(json.loads((run / "plots/accuracy.json").read_text())) == 3 * (len(SKILL) + 1)
    assert len(json.loads((run / "plots/strategies.json").read_text())) == len(SKILL) * len(STRATEGIES)
    assert "The student is ahead of its base model by" in capsys.readouterr().out
