"""`orca2 check`: all that is wrong with parameters, templates, sources, models and Ray, told in one go."""

import copy
import socket
import subprocess
import sys
import time

import pytest
import yaml

from orca2.audit.check import SECTIONS, check
from orca2.core.cluster import check_address
from orca2.core.errors import Orca2Error
from tests.examples import ROOT, write_templates, write_yaml

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


@pytest.fixture
def sound(tmp_path, monkeypatch):
    """A folder with sound parameters and templates; `params` is what a test may spoil."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    params = copy.deepcopy(SHIPPED)
    params["probe"]["strategies"] = ["direct"]
    params["erase"]["student_template"] = "generic"
    write_templates(tmp_path / "templates")
    return tmp_path, params


def told(sound):
    folder, params = sound
    with pytest.raises(Orca2Error) as caught:
        check(write_yaml(folder / "params.yaml", params), folder / "templates")
    return str(caught.value)


def spoil(sound, path, value):
    *parents, last = path.split(".")
    section = sound[1]
    for name in parents:
        section = section[name]
    section[last] = value


def source(**fields):
    return {"kind": "datasets", "name": "rows.jsonl", "category": "c", "licence": "MIT"} | fields


def test_the_shipped_project_has_nothing_wrong(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(ROOT)
    check()


def test_a_sound_folder_passes(sound):
    folder, params = sound
    check(write_yaml(folder / "params.yaml", params), folder / "templates")


def test_everything_that_is_wrong_anywhere_is_told_at_once(sound, monkeypatch):
    folder, _ = sound
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    spoil(sound, "genrate", {})
    spoil(sound, "generate.sampling.temprature", 1.0)
    spoil(sound, "train.learning_rate", "small")
    spoil(sound, "probe.strategies", ["direct", "drect"])
    spoil(sound, "erase.student_template", "plain")
    spoil(sound, "models.teacher", "package:gpt-9")
    spoil(sound, "tasks.sources", {"a": source(name=str(folder / "gone.jsonl")), "b": source(grader="numerc")})
    write_templates(folder / "templates", strategies__bad="{{ qestion }}", student__worse="{% endcall %}")
    words = [
        "unknown section `genrate`",
        "did you mean `generate`?",
        "generate.sampling.temprature: unknown parameter",
        "train.learning_rate: must be float, not 'small'",
        "package:gpt-9: no package carries this model",
        f"{folder / 'gone.jsonl'}: no such file",
        "tasks.sources.b.grader: unknown grader 'numerc'",
        "bad.j2:1: undefined variable `qestion`",
        "worse.j2:1: template syntax",
        "RAY_ADDRESS=nonsense: is not HOST:PORT",
    ]
    report = told(sound)
    assert [w for w in words if w not in report] == []


def test_unknown_names_are_told_even_when_another_section_is_broken(sound):
    spoil(sound, "probe.strategies", ["drect"])
    spoil(sound, "erase.student_template", "plain")
    spoil(sound, "seed", "many")
    report = told(sound)
    for words in ("unknown strategy 'drect'", "unknown student template 'plain'", "seed: must be int, not 'many'"):
        assert words in report


def test_what_the_evaluation_names_is_looked_at_before_anything_runs(sound):
    spoil(sound, "models.compared", {"larger": "package:gpt-9", "before": "student:" + "1" * 64})
    spoil(sound, "evaluate.student_templates", ["generic", "cautios"])
    report = told(sound)
    for words in (
        "package:gpt-9: no package carries this model",
        f"student:{'1' * 64}: no such finished student",
        "evaluate.student_templates: unknown student template 'cautios'",
    ):
        assert words in report


def test_a_missing_or_broken_file_of_parameters_hides_no_fault_of_the_templates(sound):
    folder, _ = sound
    write_templates(folder / "templates", strategies__bad="{{ qestion }}")
    for content, words in ((None, "no such file"), ("seed: [", "not valid YAML")):
        if content:
            (folder / "params.yaml").write_text(content)
        with pytest.raises(Orca2Error) as caught:
            check(folder / "params.yaml", folder / "templates")
        assert str(caught.value).count(words) == 1
        assert "undefined variable `qestion`" in str(caught.value)


def test_templates_that_hide_the_question_or_show_the_task_are_told(sound):
    folder, _ = sound
    shows = "{% call system() %}{{ TASK }}{% endcall %}{% call user() %}{{ question }}{% endcall %}"
    hides = "{% call user() %}Go.{% endcall %}"
    files = {"strategies__unused": hides, "student__generic": shows.replace("TASK", "task")}
    write_templates(folder / "templates", strategies__direct=hides, **files)
    spoil(sound, "erase.tasks", {"sum_of_tow": "keep"})
    report = told(sound)
    for name in ("direct", "unused"):
        assert report.count(f"strategies/{name}.j2:1: does not show the question") == 1
    assert "student/generic.j2:1: shows task" in report
    assert "erase.tasks: no task or category 'sum_of_tow'" in report


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_a_section_that_is_missing_is_told_by_name(sound, name):
    del sound[1][name]
    assert f"section `{name}` is missing" in told(sound)


def test_a_model_folder_that_lacks_everything_is_told(sound):
    folder, _ = sound
    (folder / "empty").mkdir()
    spoil(sound, "models.student", f"path:{folder / 'empty'}")
    assert told(sound).count("model folder has no") == 4


def test_a_teacher_behind_http_needs_an_address_and_elsewhere_a_key(sound, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    spoil(sound, "models.teacher", "http:org/name@1")
    report = told(sound)
    assert "params.yaml: cluster.generation.http: a teacher behind HTTP needs `base_url`" in report
    spoil(sound, "cluster.generation.http.base_url", "https://api.example.invalid/v1")
    assert "environment variable OPENAI_API_KEY: is not set" in told(sound)
    folder, params = sound
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    check(write_yaml(folder / "params.yaml", params), folder / "templates")
    monkeypatch.delenv("OPENAI_API_KEY")
    for base_url in ("http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:8000"):
        spoil(sound, "cluster.generation.http.base_url", base_url)
        check(write_yaml(folder / "params.yaml", params), folder / "templates")


def test_an_answer_that_would_fill_the_whole_context_is_told_wherever_it_is_asked_for(sound, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    for stage in ("probe", "generate", "evaluate"):
        spoil(sound, f"{stage}.sampling.max_tokens", 2048)
    told_here = told(sound)
    for stage in ("probe", "generate", "evaluate"):
        assert f"{stage}.sampling.max_tokens: 2048 leaves no room for a question: the context holds 2048" in told_here
    spoil(sound, "models.teacher", "http:org/name@1")
    spoil(sound, "cluster.generation.http.base_url", "https://api.example.invalid/v1")
    assert [line.split(":")[1] for line in told(sound).splitlines()[::2]] == [" evaluate.sampling.max_tokens"]


def test_a_key_written_where_its_name_belongs_is_refused_and_not_repeated(sound):
    spoil(sound, "cluster.generation.http.api_key_env", "sk-secret")
    report = told(sound)
    assert "cluster.generation.http: api_key_env must be a variable's name" in report
    assert "sk-secret" not in report


def test_the_command_prints_the_errors_plainly_and_fails(sound):
    folder, params = sound
    spoil(sound, "seed", "many")
    write_yaml(folder / "params.yaml", params)
    command = [sys.executable, "-m", "orca2.cli.main", "check"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: params.yaml: seed: must be int, not 'many'")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "host:",
        ":6379",
        "host:port",
        "host:99999",
        "host:\N{SUPERSCRIPT TWO}",
        "ray://host",
        "http://x",
        "::1:6379",
        "[::1",
        "[host]:1",
    ],
)
def test_a_malformed_ray_address_is_told(address):
    with pytest.raises(Orca2Error, match="is not HOST:PORT") as caught:
        check_address(address)
    assert caught.value.where == f"RAY_ADDRESS={address}"


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_answers_is_told_fast(scheme):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begin = time.monotonic()
    with pytest.raises(Orca2Error, match="nothing answers there") as caught:
        check_address(f"{scheme}127.0.0.1:{port}")
    assert time.monotonic() - begin < 6
    assert "ray start --head" in caught.value.hint


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_host_name_that_cannot_be_one_is_told(host):
    with pytest.raises(Orca2Error, match="nothing answers there"):
        check_address(f"{host}:1")


def test_an_address_that_answers_passes_as_do_the_words_that_ray_knows():
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_address(f"127.0.0.1:{server.getsockname()[1]}")
    for word in ("", "auto", "local"):
        check_address(word)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_ipv6_address_stands_in_brackets(scheme):
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        check_address(f"{scheme}[::1]:{server.getsockname()[1]}")


def test_a_file_that_dvc_does_not_watch_is_told_with_the_line_to_add(sound, monkeypatch):
    folder, _ = sound
    monkeypatch.chdir(folder)
    (folder / "rows.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    spoil(sound, "tasks.sources", {"a": source(grader="numeric")})
    subprocess.run(["dvc", "init", "-q", "--no-scm"], check=True)
    collect = {"cmd": "echo", "outs": ["data/examples"]}
    write_yaml(folder / "dvc.yaml", {"stages": {"collect": collect}})
    assert "add `- rows.jsonl` to the deps of stages.collect" in told(sound)
    write_yaml(folder / "dvc.yaml", {"stages": {"collect": collect | {"deps": ["rows.jsonl"]}}})
    check(write_yaml(folder / "params.yaml", sound[1]), folder / "templates")


def test_a_section_that_only_a_stage_of_ones_own_watches_is_known(sound, monkeypatch):
    folder, params = sound
    monkeypatch.chdir(folder)
    subprocess.run(["dvc", "init", "-q", "--no-scm"], check=True)
    spoil(sound, "mine", {"anything": 1})
    spoil(sound, "mien", {})
    own = {"cmd": "echo", "params": ["mine.anything"]}
    write_yaml(folder / "dvc.yaml", {"stages": {"own": own}})
    report = told(sound)
    assert "unknown section `mien`\n    -> did you mean `mine`?" in report
    assert "unknown section `mine`" not in report
    del params["mien"]
    check(write_yaml(folder / "params.yaml", params), folder / "templates")
    (folder / "dvc.yaml").write_text("stages: [")
    assert "YAML file structure is corrupted" in told(sound)
