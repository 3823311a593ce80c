"""What README and docs say is there and can be typed."""

import re
import shlex
import sys
import textwrap

import pytest

from orca2.audit.check import SECTIONS
from orca2.cli.command import DECLINED, WORK
from orca2.cli.main import _parser, main
from orca2.core import config
from tests.closure import ROOT

README = (ROOT / "README.md").read_text("utf-8")
DESIGN = (ROOT / "docs" / "design.md").read_text("utf-8")


def commands():
    """Every command of the README, without what a shell does with it."""
    quoted = re.findall(r"`(orca2 [a-z][^`\n]*)`", README)
    typed = re.findall(r"^    (?:\$ )?(orca2 [^#\n]+)", README, re.MULTILINE)
    return sorted({re.split(r" (?:&&|\|\|) ", command)[0].strip() for command in (*quoted, *typed)})


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_can_be_typed(command, capsys):
    words = [{"N": "1"}.get(word, word) for word in shlex.split(command)[1:]]
    try:
        _parser().parse_args(words)
    except SystemExit:
        # Some are only named, without what they need.
        assert re.search(r"arguments? .*(are|is) required", capsys.readouterr().err), command


def test_the_source_that_the_readme_shows_can_be_copied(tmp_path):
    (shown,) = re.findall(r"^    tasks:\n(?:    .*\n)+", README, re.MULTILINE)
    (tmp_path / "params.yaml").write_text(textwrap.dedent(shown), "utf-8")
    loaded = config.load_section("tasks", SECTIONS["tasks"], tmp_path / "params.yaml")
    assert list(loaded.sources) == ["capitals"]


def test_every_file_that_the_documents_name_is_there():
    named = set(re.findall(r"`((?:docs|benchmarks|requirements|tests|examples)/[\w./-]+)`", README + DESIGN))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_section_that_a_docstring_cites_is_one_of_the_design():
    sections = set(re.findall(r"^## (\d)\.", DESIGN, re.MULTILINE))
    texts = [path.read_text("utf-8") for path in (ROOT / "orca2").rglob("*.py")]
    cited = {section for text in texts for section in re.findall(r"docs/design\.md, (\d)", text)}
    assert cited
    assert cited <= sections
    assert [text for text in texts if re.search(r"DESIGN|\(issue \d", text)] == []


def test_a_figure_of_the_readme_names_a_script_that_is_there():
    lines = README.split("## Measured")[1].split("##")[0].splitlines()
    rows = [line.split("|")[-2].strip() for line in lines if line.startswith("| ") and "script" not in line]
    scripts = [cell.strip("`") for cell in rows if cell.startswith("`benchmarks/")]
    assert len(scripts) >= len(rows) - 1  # the whole build is timed by hand
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("plan --nope", 2),
        ("diff --nope", 2),
        ("plan", 1),
        ("check", 1),
        ("diff", 2),
        ("verify --replay", 2),
        ("rejects", 1),
        ("upgrade", 1),
    ],
)
def test_no_error_is_taken_for_an_answer(command, status, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["orca2", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, "Traceback" in capsys.readouterr().err) == (status, False)


def test_the_readme_lists_every_exit_status():
    listed = {int(status) for status in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert listed == {0, 1, 2, WORK, DECLINED, 130}
