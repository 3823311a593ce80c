"""Identity, as docs/identity.md states it: what each parameter and each template decides, and what no change may move.

Every field of every section of params.yaml stands in exactly one of the tables below, with another value for it. A new
field fails here until it is classified; so does a table's field that is gone.
"""

import dataclasses
import hashlib
import json
import re
import shutil
import typing
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orca2.audit.check import SECTIONS
from orca2.core import config
from orca2.core.errors import Orca2Error
from orca2.core.hashing import derive_seed, digest
from orca2.core.rows import Message, PackedSequence, Sampling, Segment
from orca2.recipe.evaluation import student_lines
from orca2.recipe.grading import opinions
from orca2.recipe.models import model_digest
from orca2.recipe.requests import (
    ProbeConfig,
    build_request,
    evaluation_requests,
    key_parameters,
    probe_requests,
    request_key,
    teaching,
)
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.strategies import examined_under
from orca2.recipe.strategies.asking import Probe
from orca2.recipe.tasks import collect
from orca2.recipe.templates import Templates
from orca2.training import finished
from orca2.training.loop import TrainConfig
from tests.examples import ROOT, example, generation, turns, write_yaml

DOCUMENT = (ROOT / "docs" / "identity.md").read_text("utf-8")
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
WATCHED = {section for stage in STAGES.values() for section in stage.get("params", []) if isinstance(section, str)}


def under(section, **values):
    """Values of the fields of one section."""
    return {f"{section}.{name}": value for name, value in values.items()}


# Where requests are made: by the probe, by the teaching, by the three roles of the evaluation, and by a judge.
EVALUATION = "base student teacher"
OTHER_SAMPLING = {"temperature": 0.8, "top_p": 0.8, "top_k": 6, "stop": ["\n\n"]}
ANSWER = {
    "seed": (43, "probe teaching"),
    "models.teacher": ("path:other", "probe teaching teacher"),
    "models.student": ("path:other", "base"),
    "models.judge": ("path:other", "judging"),
    **{
        f"tasks.sources.file.{name}": (value, "probe teaching teacher")
        for name, value in (("category", "logic"), ("category_column", "topic"))
    },
    "probe.judge": ("student", "probe"),
    **{f"probe.sampling.{name}": (value, "probe") for name, value in OTHER_SAMPLING.items()},
    **{f"generate.sampling.{name}": (value, "teaching") for name, value in OTHER_SAMPLING.items()},
    "evaluate.sampling.stop": (["\n\n"], EVALUATION),
    "erase.student_template": ("other", "base student"),
    "evaluate.student_templates": (["other"], "base student"),
    "erase.instruction": ("empty", "base student"),
    "evaluate.teacher_strategy": ("guess_and_check", "teacher"),
    "erase.tasks": ({"arithmetic": "empty"}, "base student"),
}
"""The same rows are asked; the keys of the requests that are made there change, and no others."""
ROWS = {
    **under("tasks.sources.gym", size=9, config={"max_value": 40}),
    **under("tasks.sources.file", kind="reasoning_gym", name="others.jsonl", task="another", split="probe"),
    **under("tasks.sources.file", question_column="rephrased", answer_column="worked", answer_pattern=r"(\d)"),
    **under("tasks.sources.file", question="{{ rephrased }}", answer="worked", where="number > 3", limit=5),
    "tasks.sources.file.few_shot": {},
    "tasks.sources.file.few_shot.least": 1,
    "tasks.sources.file.few_shot.most": 4,
    "tasks.sources.file.few_shot.same": ["kind"],
    "tasks.sources.file.few_shot.template": "{{ question }}{% for shot in shots %}{{ shot.answer }}{% endfor %}",
    **under("tasks.sources.file", choices="options", answer_is="index", task_column="kind"),
    **under("tasks.sources.hub", revision="b" * 40, hub_split="test"),
    **under("tasks.sources.file", group_column="number"),
    "tasks.sources.more": {"kind": "reasoning_gym", "name": "lcm", "size": 9, "category": "c", "licence": "MIT"},
    **under("tasks.splits", probe_fraction=0.5, evaluation_fraction=0.5),
    **under("tasks.splits", probe_limit=1, train_limit=1, evaluation_limit=1),
    "tasks.drop_near_copies": "names_and_numbers",
    "tasks.draws.more": {"sources": ["hub"], "size": 1},
    **under("tasks.draws.few", sources=["file"], per_task=1, size=1),
    "probe.strategies": ["direct_answer", "guess_and_check"],
    "probe.race": True,
    "generate.samples": 3,
    "models.compared": {"larger": "path:other"},
}
"""Requests come or go; one that is asked before and after keeps its key."""
LIMIT = {
    "probe.sampling.max_tokens": (65, "probe"),
    "generate.sampling.max_tokens": (65, "teaching"),
    "evaluate.sampling.max_tokens": (65, EVALUATION),
}
"""No key changes; the store compares the limit by rule."""
ARTIFACT = {
    **under("tasks.sources.file", grader="exact", licence="CC0-1.0", answer_lines=["Result:"], max_bad_share=0.5),
    **under("tasks.sources.file", id_column="number"),
    "probe.choose_per": "category",
    **under("evaluate.sampling", top_p=0.8, top_k=6),
    **under("grade", keep="all", filters=["my_filters:short"], distinct=True, per_question=1, prefer="shortest"),
    **under("grade", quotas={"gym": 1}, weights={"gym": 2.0}),
    **under("erase", one_of=["generic", "other"], max_residue_share=0.5),
    **under("pack", max_tokens=513),
    **under("train", learning_rate=0.5, epochs=3, global_batch_sequences=4, warmup_ratio=0.5, schedule="linear"),
    **under("train", weight_decay=0.5, max_grad_norm=0.5, zero_stage=3, dtype="bfloat16", checkpoint_every_steps=11),
}
"""No key changes; a stage watches the section, so what it makes is made anew."""
ENGINE = "cluster.generation.engine"
SPEED_ONLY = {
    **under("cluster.generation", engines=2, cpus_per_engine=1.0, gpus_per_engine=1.0, batch_size=8),
    **under("cluster.generation", max_new_tokens=9),
    **under("cluster.generation.http", base_url="http://127.0.0.1/v1", api_key_env="KEY", concurrency=2, timeout_s=9.0),
    **under(
        "cluster.generation.http", max_retries=1, requests_per_minute=2, tokens_per_minute=3, max_failure_share=0.5
    ),
    **under(ENGINE, max_num_seqs=32, max_model_len=512, block_size=16, kv_cache_gib=0.5, gpu_memory_utilization=0.5),
    **under(ENGINE, tensor_parallel_size=2, dtype="bfloat16", enforce_eager=False),
    **under("cluster.training", workers=2, use_gpu=True, cpus_per_worker=1),
}
"""No key changes, and no stage watches it."""
FIXED = {"evaluate.sampling.temperature": 0.5}
"""Any other value is refused."""
CLASSES = {
    "answer": ANSWER, "rows": ROWS, "limit": LIMIT, "artifact": ARTIFACT, "speed only": SPEED_ONLY, "fixed": FIXED
}  # fmt: skip
WITH = {
    **{path: {"tasks.sources.file.split": "probe"} for path in ROWS if ".few_shot" in path},
    "tasks.sources.file.choices": under(
        "tasks.sources.file", grader="choice", answer_column="right", answer_is="index"
    ),
    "tasks.sources.file.answer_is": under(
        "tasks.sources.file", grader="choice", answer_column="right", choices="options"
    ),
    "tasks.sources.file.kind": {"tasks.sources.file.name": "gcd", "tasks.sources.file.size": 9},
    f"{ENGINE}.tensor_parallel_size": {"cluster.generation.gpus_per_engine": 2.0},
    "grade.prefer": {"grade.per_question": 1},
}
"""What must change with a field for its new value to be valid."""


SAMPLED = {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "max_tokens": 64}
COMMON = {"category": "arithmetic", "licence": "MIT", "grader": "numeric"}
SMALL = PARAMS | {
    "models": {"teacher": "path:teacher", "student": "path:student", "judge": "path:trained"},
    "tasks": {
        "splits": dict.fromkeys(["probe_fraction", "evaluation_fraction"], 0.3)
        | dict.fromkeys(["probe_limit", "train_limit", "evaluation_limit"], 3),
        "draws": {"few": {"sources": ["gym"], "per_task": 2}},
        "sources": {
            "gym": COMMON | {"kind": "reasoning_gym", "name": "gcd", "size": 12},
            "file": COMMON | {"kind": "datasets", "name": "questions.jsonl"},
            "hub": COMMON | {"kind": "datasets", "name": "owner/name", "revision": "a" * 40},
            "exam": COMMON | {"kind": "reasoning_gym", "name": "lcm", "size": 6, "split": "evaluation"},
        },
    },
    "probe": {"strategies": ["direct_answer", "step_by_step"], "sampling": SAMPLED},
    "generate": {"samples": 2, "sampling": SAMPLED},
}
"""The shipped parameters on the sources, models and templates of `workspace`, where every field means something."""


class Lineage(NamedTuple):
    """Which request of a build: it stays the same one when its key changes."""

    made_in: str
    task: str
    row_id: str
    strategy: str
    sample_index: int


def fields(kind, path=""):
    """The dotted path of every field under a section, a dataclass or a type; `*` is an entry of a mapping or a list."""
    if dataclasses.is_dataclass(kind):
        kind = typing.get_type_hints(kind)
    if isinstance(kind, dict):
        for name, inner in kind.items():
            yield from fields(inner, f"{path}.{name}".strip("."))
        return
    entries = [inner for inner in typing.get_args(kind) if dataclasses.is_dataclass(inner)]
    # A section that may be left out is no mapping of entries.
    inside = path if type(None) in typing.get_args(kind) or not entries else f"{path}.*"
    yield inside
    for inner in entries:
        yield from fields(inner, inside)


def field_of(path):
    """The field that an entry of a table is about."""
    return re.sub(r"^tasks\.(sources|draws)\.\w+", r"tasks.\1.*", path)


CLASSIFIED = {name: {field_of(path) for path in paths} for name, paths in CLASSES.items()}


def test_every_field_of_every_section_is_classified_exactly_once():
    known, written = set(fields(SECTIONS)), [field for paths in CLASSIFIED.values() for field in paths]
    new = sorted(known - set(written))
    assert not new, f"classify {new} in a table of tests/test_identity.py and in docs/identity.md: {', '.join(CLASSES)}"
    assert not set(written) - known, "these fields are gone: take them out of the tables and of docs/identity.md"
    assert sorted(written) == sorted(known), "a field stands in two tables"


def test_the_document_classifies_every_field_as_the_tables_do():
    rows = re.findall(rf"^\| ({'|'.join(CLASSES)}) \|.*?\| (.+) \|$", DOCUMENT, re.MULTILINE)
    assert {name: set(re.findall(r"`(.+?)`", listed)) for name, listed in rows} == CLASSIFIED


def test_every_section_but_cluster_is_watched_by_a_stage_and_speed_only_is_what_lies_in_cluster():
    assert set(SECTIONS) - WATCHED == {"cluster"}
    assert {path for path in fields(SECTIONS) if path.startswith("cluster.")} == CLASSIFIED["speed only"]


def write_model(folder, config_json=b'{"model_type": "tiny"}'):
    folder.mkdir()
    (folder / "chat_template.jinja").write_bytes(b"{{ messages }}")
    (folder / "config.json").write_bytes(config_json)
    (folder / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    (folder / "tokenizer.json").write_bytes(b'{"version": "1.0"}')
    return folder


def hub(name, *, revision, split):
    """Stands in for the hub, which these machines do not reach: each commit and split holds questions of its own."""
    return [{"question": f"{name} {revision[:4]} {split} {i}?", "answer": str(i)} for i in range(12)]


def row(file, i):
    told = {"question": f"{file} {i}?", "rephrased": f"{file} {i}, so?", "answer": f"{i} apples", "worked": f"={i}"}
    return told | {"number": i, "options": ["x", "y"], "right": i % 2, "kind": "other", "topic": "logic"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with the sources, models and templates of `SMALL`, to work in."""
    root = tmp_path_factory.mktemp("workspace")
    for model in ("teacher", "student", "trained", "other"):
        write_model(root / model, json.dumps({"name": model}).encode())
    for file in ("questions", "others"):
        (root / f"{file}.jsonl").write_text("\n".join(json.dumps(row(file, i)) for i in range(12)), "utf-8")
    templates = shutil.copytree(ROOT / "templates", root / "templates")
    shutil.copy(templates / "strategies/explain_then_answer.j2", templates / "student/other.j2")
    (templates / "tasks/logic").mkdir()
    for strategy in SMALL["probe"]["strategies"]:
        text = (templates / f"strategies/{strategy}.j2").read_text("utf-8")
        (templates / f"tasks/logic/{strategy}.j2").write_text(text.replace("Answer:", "Hence:"), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("datasets.load_dataset", hub)
        yield root


Everything = dataclasses.make_dataclass(
    "Everything", SECTIONS.items(), bases=(config.Sections,), frozen=True, kw_only=True
)


def load(path="", value=None):
    """The parameters `SMALL`, with one of them at another value."""
    edited = json.loads(json.dumps(SMALL))
    for changed, new in (({path: value} if path else {}) | WITH.get(path, {})).items():
        *sections, name = changed.split(".")
        node = edited
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = new
    return config.load(Everything, write_yaml(Path("params.yaml"), edited))


def ask(*change):
    """Every request that a build with these parameters makes, by lineage."""
    p, templates = load(*change), Templates()
    assert (p == load()) == (not change), "this is no change"
    examples, _, _ = collect(p.tasks, PARAMS["seed"])
    chosen = dict.fromkeys((example.task for example in examples if example.task != "exam"), "step_by_step")
    examined = examined_under(chosen, examples, p.evaluate.teacher_strategy)
    references = {"base": p.models.student, "student": "path:trained", "teacher": p.models.teacher} | p.models.compared
    models = {role: model_digest(Path(reference.removeprefix("path:"))) for role, reference in references.items()}
    students = student_lines(p.evaluate, p.erase.asked, p.models.compared)
    judge = models["teacher" if p.probe.judge == "teacher" else "base"]
    grid = {p.probe.judge: probe_requests(examples, templates, p.probe, judge, p.seed)}
    (probe,) = Probe(grid, {}, race=p.probe.race, seed=p.seed).requests().values()
    taught = teaching(templates, chosen, p.generate, models["teacher"], p.seed).requests(examples, templates)
    evaluation = evaluation_requests(examples, templates, examined, students, models, p.evaluate.sampling)
    judged = opinions(
        [example(grader="judge:acceptable")], [generation("A story.")], templates,
        model_digest(Path(p.models.judge.removeprefix("path:"))),
    )  # fmt: skip
    made = [("probe", r) for r in probe] + [("teaching", r) for r in taught] + [(r.strategy, r) for r in evaluation]
    made += [("judging", opinion.request) for opinion in judged]
    return {Lineage(where, r.task, r.row_id, r.strategy, r.sample_index): r for where, r in made}


@pytest.fixture(scope="module")
def before(workspace):
    return ask()


def keys(requests):
    return {lineage: request.key for lineage, request in requests.items()}


def concerned(lineages, path, made_in):
    """The requests that a field is about: those made there, and for a source only those of its questions."""
    source = path.split(".")[2] if path.startswith("tasks.sources.") else ""
    source = "exam" if path == "evaluate.teacher_strategy" else source
    return {p for p in lineages if p.made_in in made_in.split() and (not source or p.task == source)}


@pytest.mark.parametrize("path", ANSWER)
def test_a_field_of_an_answer_changes_the_key_of_each_request_it_is_about_and_of_no_other(before, path):
    value, made_in = ANSWER[path]
    after = ask(path, value)
    assert after.keys() == before.keys()
    changed = {lineage for lineage in before if after[lineage].key != before[lineage].key}
    assert changed == concerned(before, path, made_in) != set()


@pytest.mark.parametrize("path", ROWS)
def test_a_field_of_the_rows_makes_requests_come_or_go_and_the_others_keep_their_keys(before, path):
    after = ask(path, ROWS[path])
    staying = after.keys() & before.keys()
    assert after.keys() != before.keys()
    assert staying
    assert all(after[lineage].key == before[lineage].key for lineage in staying)


@pytest.mark.parametrize("path", LIMIT)
def test_a_limit_changes_no_key_and_lies_beside_it_in_each_request_it_is_about(before, path):
    value, made_in = LIMIT[path]
    after = ask(path, value)
    assert keys(after) == keys(before)
    changed = {p for p in before if after[p].sampling.max_tokens != before[p].sampling.max_tokens}
    assert changed == concerned(before, path, made_in) != set()


@pytest.mark.parametrize("path", [*ARTIFACT, *SPEED_ONLY])
def test_a_field_of_an_artifact_or_of_speed_alone_changes_no_key(before, path):
    assert keys(ask(path, (ARTIFACT | SPEED_ONLY)[path])) == keys(before)


@pytest.mark.parametrize("path", FIXED)
def test_a_fixed_field_refuses_any_other_value(workspace, path):
    with pytest.raises(Orca2Error, match=f"{path.split('.')[-1]} must be"):
        load(path, FIXED[path])


def test_the_seed_also_decides_the_questions_of_a_generator_and_the_split_of_every_question(workspace):
    here, there = ({(e.row_id, e.split) for e in collect(load().tasks, seed)[0]} for seed in (42, 43))
    assert {row_id for row_id, _ in here} != {row_id for row_id, _ in there}
    moved = {row_id for row_id, _ in here - there} & {row_id for row_id, _ in there - here}
    assert moved, "the same question, in another split"


TEMPLATES = sorted(file.relative_to(ROOT / "templates").as_posix() for file in (ROOT / "templates").rglob("*.j2"))
TURN = re.compile(r"{% call \w+\(\) %}\n")
"""Where an instruction, a worked question or a worked answer begins."""
QUESTIONS = [
    example(row_id=f"{task} {split}", task=task, category=source["category"], split=split)
    for task, source in (PARAMS["tasks"]["sources"] | {"untouched": {"category": "none"}}).items()
    for split in ("probe", "evaluation")
]


def rendered(root):
    """Every question under every strategy, student template and judge: template and key, by lineage."""
    templates, sampling = Templates(root), Sampling()
    probe = ProbeConfig(strategies=templates.strategies, sampling=sampling)
    made = probe_requests(QUESTIONS, templates, probe, "m", 42)
    for student in (Path(file).stem for file in templates.files if file.startswith("student/")):
        role = f"student {student}"
        made += evaluation_requests(
            QUESTIONS, templates, {}, {role: lambda *_, name=student: name}, {role: "m"}, sampling
        )
    answers = [generation("A story.", row_id=question.row_id) for question in QUESTIONS]
    for judge in (Path(file).stem for file in templates.files if file.startswith("judge/")):
        asked = [dataclasses.replace(question, grader=f"judge:{judge}") for question in QUESTIONS]
        made += [opinion.request for opinion in opinions(asked, answers, templates, "m")]
    return {(r.row_id, r.strategy): (r.template, r.key) for r in made}


@pytest.fixture(scope="module")
def shipped():
    return rendered(ROOT / "templates")


def with_inserted(text, file, root):
    """What is rendered when one file has `text` at the start of its first instruction or worked answer."""
    shutil.copytree(ROOT / "templates", root)
    content = (root / file).read_text("utf-8")
    assert TURN.search(content), "this template has no turn to edit"
    (root / file).write_text(TURN.sub(lambda turn: turn[0] + text, content, count=1), "utf-8")
    return rendered(root)


def shows(template, file):
    """Whether what `template` renders is written in `file`: it is that file, or is built on it."""
    built_on = re.findall(r'{% (?:extends|include|from) "(.+?)" ', (ROOT / "templates" / template).read_text("utf-8"))
    return template == file or any(shows(other, file) for other in built_on)


@pytest.mark.parametrize("file", TEMPLATES)
def test_a_word_in_a_template_changes_exactly_the_keys_of_the_rows_that_show_it(shipped, tmp_path, file):
    edited = with_inserted("Please. ", file, tmp_path / "templates")
    changed = {lineage for lineage in shipped if edited[lineage] != shipped[lineage]}
    assert changed == {lineage for lineage, (template, _) in shipped.items() if shows(template, file)} != set()


@pytest.mark.parametrize("file", TEMPLATES)
def test_a_comment_in_a_template_changes_no_key(shipped, tmp_path, file):
    assert with_inserted("{#- x -#}", file, tmp_path / "templates") == shipped


MESSAGES = st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=st.text('a",', max_size=2))
CALLS = st.fixed_dictionaries(
    {
        "model": st.sampled_from("mn"),
        "messages": st.lists(MESSAGES, max_size=2).map(tuple),
        "temperature": st.sampled_from([0.0, 0.5, 1.0]),
        "top_p": st.sampled_from([0.5, 1.0]),
        "top_k": st.integers(0, 1),
        "max_tokens": st.integers(1, 2),
        "stop": st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple),
        "seed": st.integers(0, 1),
        "sample_index": st.integers(0, 1),
    }
)
"""Requests that differ in little, so that equal ones are met."""
ARGUMENTS = ["model", "messages", *Sampling.__dataclass_fields__, "seed", "sample_index"]


def key(call):
    sampling = Sampling(**{name: call[name] for name in Sampling.__dataclass_fields__})
    return request_key(call["model"], call["messages"], sampling, call["seed"], call["sample_index"])


def parts(call):
    """What the document puts into the key, without any encoding."""
    shape = ("top_p", "top_k", "seed", "sample_index") if call["temperature"] else ()
    return [(name, call[name]) for name in ("model", "messages", "temperature", "stop", *shape)]


@settings(max_examples=500)
@given(CALLS, CALLS, st.sets(st.sampled_from(ARGUMENTS), max_size=2))
def test_two_requests_have_one_key_exactly_when_all_parts_of_their_preimages_are_equal(left, other, changed):
    right = left | {name: other[name] for name in changed}
    assert (key(left) == key(right)) == (parts(left) == parts(right))


@settings(max_examples=500)
@given(CALLS.filter(lambda call: call["temperature"] > 0), CALLS, st.sampled_from(ARGUMENTS))
def test_every_argument_but_max_tokens_changes_the_key_of_a_sampled_request(call, other, name):
    changed = call | {name: other[name]}
    assert (key(changed) != key(call)) == (name != "max_tokens" and other[name] != call[name])


def test_the_document_says_of_each_sampling_parameter_when_it_is_in_a_key():
    rows = re.findall(
        r"^\| `(\w+)` \| \w[^|]* \| ([^|]*) \| (always|never) \| (always|never) \|$", DOCUMENT, re.MULTILINE
    )
    drawn, greedy = key_parameters(Sampling(temperature=0.5)), key_parameters(Sampling())
    in_words = {True: "always", False: "never"}
    assert rows == [
        (f.name, str(f.default) if f.default != () else "empty", in_words[f.name in drawn], in_words[f.name in greedy])
        for f in dataclasses.fields(Sampling)
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_document_says_of_each_training_parameter_whether_it_is_in_a_students_identity(workers):
    def identity(config):
        return finished.identity([SEQUENCE], model="m", config=config, seed=42, workers=workers)

    rows = dict(re.findall(r"^\| `(\w+)` \| (always|never) \| [^|]*\|$", DOCUMENT, re.MULTILINE))
    changed = {
        f.name: identity(dataclasses.replace(TRAINING, **{f.name: ARTIFACT[f"train.{f.name}"]})) != identity(TRAINING)
        for f in dataclasses.fields(TrainConfig)
    }
    assert changed.pop("zero_stage") == (workers > 1)
    assert rows.pop("zero_stage") == "always"
    assert rows == {name: "always" if moved else "never" for name, moved in changed.items()}


GOLDEN = {
    "config": "d75dc1352826f22e363a313c5720426985d4ebf4f62c5e92c5546259407d5da8",
    "model": "6e03d3e9d8cebad6aa08ebae1c568a3aa28b15c194b2568bf2bc5fa3d00fb8af",
    "row": "15e49aafee1d0481e656e96f3cab53a0349fd4c577c5d78b3d305abd7317578e",
    "greedy": "9994edcc3258a0b2e46d626e1407fee374adf97089856689ab91578460e27e9d",
    "seed": "42007471698442e6cfda6ab11336e3c50a42ea8dc3e02065698317c1914c051e",
    "sampled": "16a3e986e0c197b741f066d066ba348c1ccf7ab7b7ee71b76820928f2f3e5c85",
    "student": "4860212aeda0ec510942f4bcba92c8f04a21e21f14793e9b507eefac8d90366a",
}
"""Digests of the worked example. Whoever changes one orphans every stored answer or student: rename `requests.KIND`, or
raise `finished.STEP`, on purpose."""
SEQUENCE = PackedSequence(
    sequence_index=0,
    input_ids=(5, 6, 7),
    labels=(-100, 6, 7),
    segments=(Segment(row_id="a", sample_index=0, start=0, length=3, supervised_start=1, supervised_end=3),),
)
TRAINING = TrainConfig(learning_rate=1e-3, epochs=2, global_batch_sequences=8)


@pytest.fixture
def worked_example(tmp_path):
    """The digests of the document's example, made from nothing by the code."""
    model = model_digest(write_model(tmp_path / "model"))
    (tmp_path / "sums.jsonl").write_text('{"question": "What is 2 + 3?", "answer": "5"}', "utf-8")
    source = SourceConfig(kind="datasets", name=str(tmp_path / "sums.jsonl"), category="arithmetic", licence="MIT")
    (row,) = read_source("sums", source, 42).examples
    common = {"row_id": row.row_id, "task": "sums", "strategy": "step_by_step", "template": "t", "model": model}
    common |= {"messages": turns(row.question, system="Think in steps."), "seed": 42}
    greedy = build_request(**common, sample_index=0, sampling=Sampling())
    drawn = Sampling(temperature=0.7, top_p=0.9, top_k=5, max_tokens=64, stop=("\n\n",))
    sampled = build_request(**common, sample_index=1, sampling=drawn)
    seed = digest("seed", [42, "sampling", row.row_id, 1])
    assert sampled.seed == derive_seed(42, "sampling", row.row_id, 1) == int(seed[:16], 16) >> 1
    config = digest("model config", (tmp_path / "model" / "config.json").read_text("utf-8"))
    return {
        "config": config,
        "model": model,
        "row": row.row_id,
        "seed": seed,
        "greedy": greedy.key,
        "sampled": sampled.key,
        "student": finished.identity([SEQUENCE], model=model, config=TRAINING, seed=42, workers=1),
    }


def test_golden_digests_pin_the_scheme_so_that_no_stored_answer_is_orphaned_by_accident(worked_example):
    assert worked_example == GOLDEN


def test_the_worked_example_of_the_document_holds_to_the_byte(worked_example):
    shown = re.findall(r"```json\n(.+)\n```\n\n(.+): `([0-9a-f]{64})`", DOCUMENT)
    assert {name: stated for _, name, stated in shown} == worked_example
    assert f"`{derive_seed(42, 'sampling', worked_example['row'], 1)}`" in DOCUMENT
    for preimage, _, stated in shown:
        assert hashlib.sha256(preimage.encode()).hexdigest() == stated
