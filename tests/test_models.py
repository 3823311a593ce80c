"""Models: named by what decides an answer, checked before anything loads them, and never by path or name."""

import json
import os
import shutil
import struct
import subprocess
import sys
import time

import pytest

from orca2.core import model_files
from orca2.core.errors import Orca2Error
from orca2.core.hashing import file_digest
from orca2.recipe import model_folders, models
from orca2.recipe.models import (
    ModelsConfig,
    check_reference,
    from_folder,
    model_digest,
    prepare,
    read_prepared,
    write_prepared,
)
from tests.examples import ROOT
from tests.tiny import make_tiny_model


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "model")


def refusal(call, *arguments):
    with pytest.raises(Orca2Error) as caught:
        call(*arguments)
    return str(caught.value)


def test_the_digest_covers_content_and_never_the_path(folder, tmp_path):
    elsewhere = shutil.copytree(folder, tmp_path / "another name")
    (elsewhere / "README.md").write_text("notes decide nothing")
    assert model_digest(elsewhere) == model_digest(folder)


def test_every_file_that_decides_an_answer_changes_the_digest(folder):
    before = model_digest(folder)
    deciding = {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert deciding <= {file.name for file in folder.iterdir()}
    for name in deciding | {"generation_config.json"}:
        content = (folder / name).read_bytes()
        changed = content[:-1] + bytes([content[-1] ^ 1]) if name.endswith("safetensors") else content + b"\n"
        if name in ("config.json", "generation_config.json", "tokenizer_config.json"):
            changed = json.dumps(json.loads(content) | {"decides": "something"}).encode()
        (folder / name).write_bytes(changed)
        assert model_digest(folder) != before, name
        (folder / name).write_bytes(content)
    assert model_digest(folder) == before


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("config.json", "transformers_version"),
        ("generation_config.json", "transformers_version"),
        ("tokenizer_config.json", "local_files_only"),
        ("tokenizer_config.json", "is_local"),
    ],
)
def test_the_circumstances_in_which_a_model_was_saved_are_not_part_of_it(folder, file, name):
    before = model_digest(folder)
    for value in ("99.0", True):
        content = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(content | {name: value}, indent=1))
        assert model_digest(folder) == before


def test_a_packaged_model_is_the_same_to_the_byte_online_and_where_its_lock_makes_it_anew_offline(packaged):
    """Transformers notes down whether the hub was to be asked; a colleague's answers must be found all the same."""
    online, offline = ({f.name: file_digest(f) for f in folder.iterdir()} for folder in packaged)
    assert len(online) > 3
    assert online == offline


def test_the_same_file_under_another_name_is_another_model(folder):
    (folder / "vocab.a").write_text("1")
    before = model_digest(folder)
    (folder / "vocab.a").rename(folder / "vocab.b")
    assert model_digest(folder) != before


def test_swapping_two_files_is_another_model(folder):
    for name, content in (("vocab.a", "1"), ("vocab.b", "2")):
        (folder / name).write_text(content)
    before = model_digest(folder)
    for name, content in (("vocab.a", "2"), ("vocab.b", "1")):
        (folder / name).write_text(content)
    assert model_digest(folder) != before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.safetensors", "model folder has no weights (*.safetensors)"),
        ("config.json", "model folder has no config.json"),
        ("tokenizer.json", "model folder has no tokenizer.json"),
        ("chat_template.jinja", "model folder has no chat template"),
    ],
)
def test_a_folder_that_lacks_a_part_is_refused_by_name(folder, name, words):
    (folder / name).unlink()
    told = refusal(model_digest, folder)
    assert words in told
    assert "save_pretrained" in told


def test_everything_an_empty_folder_lacks_is_told_at_once(tmp_path):
    told = refusal(model_digest, tmp_path)
    assert told.count("model folder has no") == 4


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert "no such model folder" in refusal(model_digest, tmp_path / "gone")


def test_a_chat_template_may_stand_in_the_tokenizers_config_but_not_be_empty(folder):
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": "{{ messages }}"}))
    assert model_digest(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": None}))
    assert "no chat template" in refusal(model_digest, folder)


def header(content):
    return struct.pack("<Q", len(content)) + content


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda good: b"", "is not a safetensors file"),
        (lambda good: good[:5], "is not a safetensors file"),
        (lambda good: good[:100], "is not a safetensors file"),
        (lambda good: b"PK\x03\x04" + good, "is not a safetensors file"),
        (lambda good: good[:-1], "cut or damaged"),
        (lambda good: good + b"\0", "cut or damaged"),
        (lambda good: good[:8] + b"x" + good[9:], "has a corrupt safetensors header"),
        (lambda good: header(b"\xff\xfe"), "has a corrupt safetensors header"),
        (lambda good: header(b"[]"), "has a corrupt safetensors header"),
        (lambda good: header(b'{"w": {}}'), "has a corrupt safetensors header"),
        (lambda good: header(b'{"w": {"data_offsets": 3}}'), "has a corrupt safetensors header"),
        (lambda good: header(b""), "has a corrupt safetensors header"),
    ],
)
def test_a_weight_file_that_is_torn_or_foreign_is_refused_by_name(folder, spoil, words):
    file = folder / "model.safetensors"
    file.write_bytes(spoil(file.read_bytes()))
    told = refusal(model_digest, folder)
    assert f"{file}: " in told
    assert words in told
    assert "copy or download the file again" in told


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b'{"cut": ', b"[]", b"\xff"])
def test_a_broken_json_file_is_refused_by_name(folder, name, content):
    (folder / name).write_bytes(content)
    assert f"{folder / name}: is not a JSON object" in refusal(model_digest, folder)


def test_a_sharded_model_without_one_of_its_shards_is_refused(folder):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    told = refusal(model_digest, folder)
    assert "model-00002-of-00002.safetensors: weights are incomplete: no such file" in told


def test_several_faults_of_one_folder_are_told_together(folder):
    (folder / "config.json").unlink()
    (folder / "tokenizer.json").write_text("{")
    (folder / "model.safetensors").write_bytes(b"short")
    told = refusal(model_digest, folder)
    for words in ("no config.json", "tokenizer.json: is not a JSON object", "is not a safetensors file"):
        assert words in told


def test_pickled_weights_and_code_are_no_part_of_a_model(folder):
    before = model_digest(folder)
    for name in ("pytorch_model.bin", "modeling_evil.py", "notes.txt"):
        (folder / name).write_bytes(b"x")
    locked = prepare(f"path:{folder}")
    assert locked.digest == before == model_digest(folder)
    assert {*locked.files}.isdisjoint({"pytorch_model.bin", "modeling_evil.py", "notes.txt"})


def test_a_folder_with_pickled_weights_only_has_no_weights(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "no weights" in refusal(model_digest, folder)


def test_a_model_in_a_folder_stays_there_and_is_never_copied(folder, tmp_path):
    before = {file: file.stat().st_ino for file in tmp_path.rglob("*")}
    locked = prepare(f"path:{folder}")
    assert locked.folder == locked.on_disk == folder
    assert {file: file.stat().st_ino for file in tmp_path.rglob("*")} == before


def test_a_model_that_was_changed_after_it_was_locked_is_refused_with_the_file_and_the_next_step(folder, tmp_path):
    write_prepared({"teacher": prepare(f"path:{folder}")}, tmp_path / "models.json")
    locked = read_prepared(tmp_path / "models.json")["teacher"]
    assert locked.on_disk == folder
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    told = refusal(lambda: locked.on_disk)
    assert "is not the model that models/models.json locks: model.safetensors" in told
    assert "dvc repro prepare_models" in told
    assert prepare(f"path:{folder}").on_disk == folder


def test_a_model_that_lost_a_part_after_it_was_locked_is_refused_by_name(folder):
    locked = prepare(f"path:{folder}")
    (folder / "config.json").unlink()
    assert "no config.json" in refusal(lambda: locked.on_disk)
    assert "no config.json" in refusal(prepare, f"path:{folder}")


def settled(folder):
    """As if its files had been there for a while: younger ones are not remembered."""
    time.sleep(1.1)
    return folder


def test_weights_are_read_once_while_they_stay_as_they_are(folder, monkeypatch):
    read = []
    monkeypatch.setattr(model_files, "file_digest", lambda file: read.append(file.name) or file_digest(file))
    before = model_digest(settled(folder))
    assert "model.safetensors" in read
    read.clear()
    assert model_digest(folder) == before
    assert read == []
    stat = (folder / "model.safetensors").stat()
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    os.utime(folder / "model.safetensors", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert model_digest(folder) != before
    assert read == ["model.safetensors"]


def test_a_packaged_model_is_made_once(packaged, monkeypatch):
    monkeypatch.setenv("ORCA2_CACHE", str(packaged[1].parent.parent))
    inode = (packaged[1] / "model.safetensors").stat().st_ino
    assert prepare("package:smollm2-135m-instruct").on_disk == packaged[1]
    assert (packaged[1] / "model.safetensors").stat().st_ino == inode
    assert [path.name for path in packaged[1].parent.iterdir()] == [packaged[1].name]


def test_the_lock_is_the_same_to_the_byte_wherever_it_is_written(packaged, tmp_path, monkeypatch):
    written = []
    for folder in packaged:
        monkeypatch.setenv("ORCA2_CACHE", str(folder.parent.parent))
        write_prepared(
            dict.fromkeys(("teacher", "student"), prepare("package:smollm2-135m-instruct")), tmp_path / "lock"
        )
        written.append((tmp_path / "lock").read_text())
    assert written[0] == written[1]
    assert str(tmp_path.parent) not in written[0]


def test_two_references_that_read_alike_are_two_models(pristine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pristine, tmp_path / "a" / "b")
    shutil.copytree(pristine, tmp_path / "a-b")
    (tmp_path / "a-b" / "chat_template.jinja").write_text("another")
    one, two = (prepare(reference) for reference in ("path:a/b", "path:a-b"))
    assert one.folder != two.folder
    assert one.digest != two.digest


def test_a_home_folder_is_found_when_checked_as_when_prepared(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    check_reference("path:~/model")


@pytest.mark.parametrize(
    "reference",
    [
        "smollm2", "hub:owner/name", "hub:owner/name@main", "hub:owner@" + "a" * 40, "package:", "path:", "http://x",
        "http:name", "http:name@", "http:@1", "http://host/name@1", "http:name@1 2", "https:name@1",
    ],
)  # fmt: skip
def test_a_reference_that_pins_nothing_is_refused(reference):
    with pytest.raises(ValueError, match=r"teacher: .* is not package:NAME"):
        ModelsConfig(teacher=reference, student="path:x")


HTTP = "http:@cf/org/name:free@2026-11"


def test_a_model_behind_http_is_its_name_and_its_declared_revision():
    ModelsConfig(teacher=HTTP, student="path:x")
    check_reference(HTTP)
    model = prepare(HTTP)
    assert models.http_name(HTTP) == ("@cf/org/name:free", "2026-11")
    assert model.folder is None
    others = [HTTP.replace("2026", "2027"), HTTP.replace("free", "paid"), "http:@cf/org/name@free@2026-11"]
    assert len({model.digest, *(prepare(other).digest for other in others)}) == 4
    assert prepare(HTTP) == model


def test_a_model_behind_http_has_no_weights_for_those_who_need_some():
    with pytest.raises(ValueError, match=r"student: 'http:.*' cannot be fine-tuned"):
        ModelsConfig(teacher=HTTP, student=HTTP)
    with pytest.raises(Orca2Error, match="has no weights here"):
        prepare(HTTP).on_disk  # noqa: B018  (asking is what fails)


def test_an_unknown_or_absent_package_is_told_with_the_next_step(monkeypatch):
    assert "known: smollm2-135m-instruct" in refusal(check_reference, "package:gpt-9")
    monkeypatch.setitem(model_folders._PACKAGED, "absent", ("no_such_package_here", "x.gguf"))
    assert "run `make setup`" in refusal(check_reference, "package:absent")


def test_the_index_gives_back_what_was_written_and_says_what_to_run_when_it_is_missing(folder, tmp_path):
    model = from_folder(folder)
    remote = prepare(HTTP)
    write_prepared({"teacher": remote, "student": model}, tmp_path / "models.json")
    assert read_prepared(tmp_path / "models.json") == {"teacher": remote, "student": model}
    assert "dvc repro prepare_models" in refusal(read_prepared, tmp_path / "gone.json")


_READ_FROM_HUB = """
import sys
from pathlib import Path
from orca2.recipe.models import prepare, read_prepared, write_prepared
write_prepared({"teacher": prepare(sys.argv[1])}, Path(sys.argv[2]))
teacher = read_prepared(Path(sys.argv[2]))["teacher"]
print(teacher.digest, teacher.on_disk)
"""


def test_a_hub_model_at_a_pinned_commit_stays_in_the_hubs_cache_and_is_named_by_its_content(folder, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    # The hub's own cache layout stands in for its servers, which these machines do not reach.
    snapshots = tmp_path / "cache" / "models--owner--name" / "snapshots"
    shutil.copytree(folder, snapshots / commit)
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    for reference, expected in ((commit, 0), ("f" * 40, 1)):
        command = [sys.executable, "-c", _READ_FROM_HUB, f"hub:owner/name@{reference}", str(tmp_path / "models.json")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr
        if expected:
            assert "cannot be fetched" in done.stderr
        else:
            assert done.stdout.split() == [model_digest(folder), str(snapshots / commit)]
