"""What code means: words and layout change nothing, and a change of logic changes exactly the stages that reach it."""

import ast
import functools
import json
import os
import shutil
import subprocess
import sys
import time

import pytest
import yaml

from orca2.core.errors import Orca2Error
from orca2.core.memo import Memo
from orca2.project import code
from orca2.project.code import step_digests, write_steps
from tests.closure import ROOT, stage_modules

STAGES = [name for name in yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"] if name != "code"]
MODULES = sorted({path for name in STAGES for path in stage_modules(name).values()})
"""Every file of Python that any stage imports, from the root."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of what makes the steps."""
    root = tmp_path_factory.mktemp("tree")
    for name in ("orca2", "stages"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def before(tree):
    return step_digests(tree)


@pytest.fixture
def edit(tree):
    """Rewrite files of the tree; they are as they were when the test is over."""
    kept = {}

    def rewrite(path, change):
        file = tree / path
        kept[file] = file.read_text("utf-8") if file.exists() else None
        file.write_text(change(kept[file]), "utf-8")

    yield rewrite
    for file, text in kept.items():
        file.unlink() if text is None else file.write_text(text, "utf-8")


def changed(tree, before):
    after = step_digests(tree)
    assert after.keys() == before.keys()
    return {name for name in before if after[name] != before[name]}


def reaching(path):
    """The stages that a module should make stale."""
    return {name for name in STAGES if path in stage_modules(name).values()}


def test_every_stage_has_a_digest(before):
    assert list(before) == STAGES
    assert len(set(before.values())) == len(STAGES)


def reworded(text):
    """The same program with other words and another layout."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            if ast.get_docstring(node) is not None:
                node.body[0].value.value = "Other words."
            node.body.insert(len(node.body), ast.parse("'An attribute is told about.'").body[0])
    ast.fix_missing_locations(tree)
    rewritten = ast.unparse(tree).replace("\n", "\n\n# A comment.\n\n", 1)
    assert rewritten != text
    return f"# A first comment.\n{rewritten}\n# A last one.\n"


@pytest.mark.parametrize("path", MODULES)
def test_no_word_and_no_layout_makes_a_stage_stale(tree, before, edit, path):
    edit(path, reworded)
    assert changed(tree, before) == set()


class Flip(ast.NodeTransformer):
    """Change the first thing that decides something: a comparison, a number, a text, a name."""

    def __init__(self):
        self.done = False

    def generic_visit(self, node):
        return node if self.done else super().generic_visit(node)

    def visit_Expr(self, node):
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Compare(self, node):
        if not self.done and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            node.ops[0], self.done = ast.NotEq() if isinstance(node.ops[0], ast.Eq) else ast.Eq(), True
        return self.generic_visit(node)

    def visit_Constant(self, node):
        if not self.done and isinstance(node.value, int | str):
            self.done = True
            return ast.Constant(node.value * 2 + (1 if isinstance(node.value, int) else "x"))
        return node

    def visit_AnnAssign(self, node):
        if not self.done and node.value is None:
            node.target.id, self.done = f"{node.target.id}_", True
        return self.generic_visit(node)

    def visit_Return(self, node):
        if not self.done and not isinstance(node.value, ast.Constant):
            self.done = True
            return ast.Return(ast.Constant(None))
        return self.generic_visit(node)


def flipped(text):
    tree, flip = ast.parse(text), Flip()
    flip.visit(tree)
    assert flip.done
    return ast.unparse(ast.fix_missing_locations(tree))


def test_how_questions_are_read_is_code_of_the_stage_that_reads_them_alone():
    reading = [path for path in MODULES if path.startswith(("orca2/recipe/sources/", "orca2/recipe/tasks/"))]
    assert {stage for path in reading for stage in reaching(path)} == {"prepare_tasks"}
    assert "report" not in {stage for path in MODULES if "/graders/" in path for stage in reaching(path)}


@pytest.mark.parametrize("path", [path for path in MODULES if (ROOT / path).stem != "__init__"])
def test_a_change_of_logic_makes_exactly_the_stages_stale_that_reach_it(tree, before, edit, path):
    edit(path, flipped)
    assert changed(tree, before) == reaching(path) != set()


@pytest.mark.parametrize("path", [path for path in MODULES if (ROOT / path).stem == "__init__" and "/" in path])
def test_a_statement_in_a_package_makes_exactly_the_stages_stale_that_reach_it(tree, before, edit, path):
    edit(path, lambda text: f"{text}\nlimit = 1\n")
    assert changed(tree, before) == reaching(path) != set()


_LOADED = """
import importlib, json, sys
loaded = {}
for stage in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] in ("orca2", "stages")]:
        del sys.modules[name]
    importlib.import_module(f"stages.{stage}")
    loaded[stage] = [name for name in sys.modules if name.split(".")[0] in ("orca2", "stages")]
print(json.dumps(loaded))
"""


def test_what_python_loads_when_it_imports_a_stage_is_in_its_closure(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _LOADED, *STAGES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    for stage, loaded in json.loads(done.stdout).items():
        assert {*loaded} - {*closure(ROOT, tmp_path / "memo", f"stages.{stage}")} <= {"stages"}


def closure(root, memo_file, *scripts):
    with Memo(memo_file, "none") as memo:
        return code.Code(root, memo).closure(scripts, root)


def test_a_changed_page_makes_the_report_stale_and_nothing_else(tree, before, edit):
    edit("orca2/audit/report.html.j2", lambda text: text + "<!-- more -->")
    assert changed(tree, before) == {"report"}


def test_what_an_editor_leaves_behind_makes_nothing_stale(tree, before, edit):
    for name in (".report.py.swp", "report.py~"):
        edit(f"orca2/audit/{name}", lambda text: "leftover")
    assert changed(tree, before) == set()


FORMS = {
    "import helper": True,
    "import helper as other": True,
    "from helper import double as twice": True,
    "import package.inner as name": True,
    "from package import inner": True,
    "from package import *": True,
    "from . import near": True,
    "from .near import limit as bound": True,
    "def late():\n    from . import near as later\n    return later": True,
    "NAME = 'package.inner'": True,
    "NAME = 'helper:double'": True,
    "import json": False,
    "# import helper": False,
    "NAME = 'helper'": False,
}


@pytest.mark.parametrize(("form", "reached"), FORMS.items())
def test_every_form_of_import_is_followed(tmp_path, form, reached):
    small_project(tmp_path, form)
    before = step_digests(tmp_path)
    for name in ("helper.py", "package/inner.py", "stages/near.py"):
        (tmp_path / name).write_text("double = limit = 2\n")
    assert (step_digests(tmp_path) != before) == reached


def small_project(root, script, params="{}", cmd="python -m stages.step"):
    for name, text in {
        "helper.py": "double = 1\n",
        "package/__init__.py": "",
        "package/inner.py": "limit = 1\n",
        "stages/__init__.py": "",
        "stages/near.py": "limit = 1\n",
        "stages/step.py": f"{script}\n",
        "params.yaml": params,
        "dvc.yaml": yaml.safe_dump({"stages": {"step": {"cmd": cmd, "params": [{"steps.yaml": ["step"]}]}}}),
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    "cmd",
    ["python stages/step.py", "python3.11 -u -m stages.step --fast", ["mkdir -p x", "env A=1 python -m stages.step"]],
)
def test_a_script_is_found_however_a_command_runs_it(tmp_path, cmd):
    small_project(tmp_path, "import helper", cmd=cmd)
    before = step_digests(tmp_path)
    (tmp_path / "helper.py").write_text("double = 2\n")
    assert step_digests(tmp_path) != before


def test_a_script_that_cannot_be_found_is_an_error_and_never_a_digest_of_nothing(tmp_path):
    for cmd in ("python -m stages.gone", "bash step.sh"):
        small_project(tmp_path, "", cmd=cmd)
        with pytest.raises(Orca2Error, match=r"stages.step: has no script .* here"):
            step_digests(tmp_path)


def test_an_extension_that_params_names_counts_where_extensions_are_loaded(tmp_path):
    small_project(tmp_path, "from orca2.core import plugins", params="grade: {filters: ['helper:double']}\n")
    (tmp_path / "orca2/core").mkdir(parents=True)
    (tmp_path / "orca2/core/plugins.py").write_text("def load(): ...\n")
    before = step_digests(tmp_path)
    (tmp_path / "helper.py").write_text("double = 2\n")
    assert step_digests(tmp_path) != before
    small_project(tmp_path, "", params="grade: {filters: ['helper:double']}\n")
    without = step_digests(tmp_path)
    (tmp_path / "helper.py").write_text("double = 3\n")
    assert step_digests(tmp_path) == without


def test_a_stage_for_each_of_several_is_one_step(tmp_path):
    small_project(tmp_path, "import helper")
    stage = {"cmd": "python -m stages.step ${item}", "params": [{"steps.yaml": ["step"]}]}
    for several in ({"foreach": ["a", "b"], "do": stage}, stage | {"matrix": {"item": ["a", "b"]}}):
        (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"step": several}}))
        assert list(step_digests(tmp_path)) == ["step"]


def test_modules_that_are_not_python_are_told_together_with_their_lines(tmp_path):
    small_project(tmp_path, "import helper, package.inner")
    (tmp_path / "helper.py").write_text("\ndef broken(:\n")
    (tmp_path / "package/inner.py").write_bytes(b"a = '\xff'\n")
    with pytest.raises(Orca2Error) as caught:
        step_digests(tmp_path)
    assert "helper.py:2: is not Python" in str(caught.value)
    assert "inner.py" in str(caught.value)
    assert str(caught.value).count("mend it") == 2


@pytest.mark.parametrize("text", ["", "stages: [", "- a", "stages: 3"])
def test_a_torn_pipeline_is_an_error(tmp_path, text):
    (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(Orca2Error, match=r"dvc\.yaml"):
        step_digests(tmp_path)


def test_texts_count_where_a_module_asks_for_its_own(tmp_path):
    for script, counts in (('"""One."""\nprint(__doc__)', True), ('"""One."""\nprint(1)', False)):
        small_project(tmp_path, script)
        before = step_digests(tmp_path)
        small_project(tmp_path, script.replace("One", "Two"))
        assert (step_digests(tmp_path) != before) == counts


def test_steps_are_the_same_from_anywhere_and_with_or_without_a_memo(tree, before, tmp_path, monkeypatch):
    monkeypatch.chdir(tree)
    assert write_steps() == before
    written = (tree / "steps.yaml").read_text("utf-8")
    assert str(tree) not in written
    (tree / ".orca2" / "code.json").write_text("{torn")
    assert write_steps() == before
    assert yaml.safe_load(written) == before


def test_an_installed_package_means_what_one_in_the_project_means(tree, before, tmp_path):
    for name in ("stages", "dvc.yaml", "params.yaml"):
        (tmp_path / name).symlink_to(tree / name)
    assert step_digests(tmp_path) == before


def test_a_file_that_changes_without_another_size_or_time_is_seen(tmp_path):
    file = tmp_path / "file"
    read = functools.partial(file.read_text, "utf-8")
    file.write_text("one")
    time.sleep(1.1)
    for text in ("one", "two", "six"):
        stat = file.stat()
        file.write_text(text)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        with Memo(tmp_path / "memo", "1") as memo:
            assert memo.of(file, read) == text


def test_a_memo_remembers_what_has_settled_and_forgets_files_that_are_gone(tmp_path):
    file, gone = tmp_path / "file", tmp_path / "gone"
    for path in (file, gone):
        path.write_text("one")
    time.sleep(1.1)
    with Memo(tmp_path / "memo", "1") as memo:
        assert [memo.of(file, lambda: 1), memo.of(gone, lambda: 2)] == [1, 2]
    gone.unlink()
    with Memo(tmp_path / "memo", "1") as memo:
        assert memo.of(file, lambda: 3) == 1
        file.write_text("two")
        assert memo.of(file, lambda: 4) == 4
    with Memo(tmp_path / "memo", "2") as memo:
        assert memo.of(file, lambda: 5) == 5
