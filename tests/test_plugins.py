"""Code that params.yaml names by import path: imported when used, and every way to be absent told plainly."""

import sys

import pytest

from orca2.core.errors import Orca2Error
from orca2.core.plugins import is_import_path, load


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project's root; what is imported from it is forgotten afterwards."""
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def told(path):
    with pytest.raises(Orca2Error) as caught:
        load(path, "params.yaml: grade.filters")
    assert caught.value.where == "params.yaml: grade.filters"
    assert caught.value.hint
    return str(caught.value)


def test_what_a_file_in_the_root_defines_is_loaded_by_its_import_path(root):
    (root / "my_words.py").write_text("def shout(text):\n    return text.upper()\n")
    (root / "mine").mkdir()
    (root / "mine" / "words.py").write_text("whisper = str.lower\n")
    assert load("my_words:shout", "")("a") == "A"
    assert load("mine.words:whisper", "")("A") == "a"


def test_each_way_to_be_absent_is_told_with_what_to_do(root):
    (root / "my_parts.py").write_text("import no_such_library\n")
    (root / "my_typo.py").write_text("def f(:\n")
    (root / "my_bug.py").write_text("1 / 0\n")
    (root / "my_other.py").write_text("def short(): ...\ndef long(): ...\n")
    assert "put my_graders.py in the project's root" in told("my_graders:soundex")
    assert "No module named 'no_such_library'" in told("my_parts:f")
    assert "cannot be imported: SyntaxError" in told("my_typo:f")
    assert "cannot be imported: ZeroDivisionError: division by zero" in told("my_bug:f")
    assert "module my_other has no 'shrot'\n    -> it has: short, long" in told("my_other:shrot")
    assert "is no import path" in told("my_other.short")


@pytest.mark.parametrize("path", ["a:b", "a.b_1:C", "_a:b"])
def test_an_import_path_is_a_module_a_colon_and_a_name(path):
    assert is_import_path(path)


@pytest.mark.parametrize(
    "path", ["", "exact", "a:", ":b", "a:b:c", "a/b:c", "1a:b", "a..b:c", "a:b.c", "a :b", "a-b:c"]
)
def test_anything_else_is_none(path):
    assert not is_import_path(path)
