"""Files of questions: whatever they are called and packed in, read whole, and told row by row where they are broken."""

import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orca2.core.errors import Orca2Error
from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.sources.formats import FORMATS

ROWS = [{"question": f"{i} and\n{i}?", "answer": f"0{i}", "note": '\u2028 "x"\t,'} for i in range(5)]


def source(name, **fields):
    values = {"kind": "datasets", "name": str(name), "category": "any", "licence": "MIT"}
    return SourceConfig(**values | fields)


def read(name, **fields):
    return [(e.question, e.answer) for e in read_source("t", source(name, **fields), 1).examples]


def refusal(name, **fields):
    with pytest.raises(Orca2Error) as caught:
        read(name, **fields)
    return str(caught.value)


def written(rows, suffix):
    """The rows as the bytes of a file."""
    if suffix == ".json":
        return json.dumps(rows).encode()
    if suffix == ".parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        return sink.getvalue().to_pybytes()
    if suffix in (".csv", ".tsv"):
        import io

        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter="\t" if suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def packed(content, compression):
    if compression == ".gz":
        return gzip.compress(content, mtime=0)
    return pa.compress(content, codec="zstd", asbytes=True) if compression else content


WANTED = [(row["question"], row["answer"]) for row in ROWS]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
def test_a_file_of_every_format_gives_the_same_questions_plain_and_compressed_in_either_case(
    tmp_path, suffix, compression
):
    if suffix == ".parquet" and compression:
        with pytest.raises(ValueError, match="must end in one of"):
            source(tmp_path / f"t{suffix}{compression}", kind="file")
        return
    for name in (f"t{suffix}{compression}", f"T{suffix}{compression}".upper()):
        (tmp_path / name).write_bytes(packed(written(ROWS, suffix), compression))
        assert read(tmp_path / name) == WANTED


def test_several_members_of_one_compressed_file_are_all_read(tmp_path):
    halves = [written(ROWS[:2], ".jsonl"), written(ROWS[2:], ".jsonl")]
    (tmp_path / "t.jsonl.gz").write_bytes(b"".join(map(gzip.compress, halves)))
    assert read(tmp_path / "t.jsonl.gz") == WANTED
    (tmp_path / "t.jsonl.zst").write_bytes(b"".join(packed(half, ".zst") for half in halves))
    assert read(tmp_path / "t.jsonl.zst") == WANTED


def test_a_folder_and_a_pattern_stand_for_their_files_in_the_order_of_their_names(tmp_path):
    (tmp_path / "set" / "b").mkdir(parents=True)
    names = {"b/2.jsonl.gz": ".jsonl", "a.csv": ".csv", "b/1.TSV": ".tsv", "c.json": ".json", "d.parquet": ".parquet"}
    for row, (name, suffix) in zip(ROWS, names.items(), strict=True):
        (tmp_path / "set" / name).write_bytes(packed(written([row], suffix), ".gz" if "gz" in name else ""))
    (tmp_path / "set" / "LICENSE").write_text("MIT")
    (tmp_path / "set" / "README.md").write_text("# a set")
    (tmp_path / "set" / ".cache").mkdir()
    (tmp_path / "set" / ".cache" / "x.jsonl").write_text("{")
    assert [int(answer) for _, answer in read(f"{tmp_path}/set/")] == [1, 2, 0, 3, 4]
    assert [int(answer) for _, answer in read(tmp_path / "set", kind="file")] == [1, 2, 0, 3, 4]
    assert [int(answer) for _, answer in read(tmp_path / "set" / "*" / "*")] == [2, 0]
    assert [int(answer) for _, answer in read(tmp_path / "set" / "**" / "[ab]*")] == [1]
    assert "no such file" in refusal(tmp_path / "set" / "*.jsonl")


def test_a_file_of_a_folder_that_is_not_read_is_told_and_never_skipped(tmp_path):
    (tmp_path / "1.jsonl").write_bytes(written(ROWS, ".jsonl"))
    (tmp_path / "2.jsonl.xz").write_bytes(b"")
    assert "is not read: " in (told := refusal(f"{tmp_path}/"))
    assert "2.jsonl.xz" in told
    assert "by a pattern" in told


def test_a_broken_row_of_several_files_is_told_with_its_file(tmp_path):
    (tmp_path / "1.jsonl").write_bytes(written(ROWS, ".jsonl"))
    (tmp_path / "2.jsonl").write_text("{\n")
    assert f"{tmp_path / '2.jsonl'}: line 1: not valid JSON" in refusal(tmp_path / "*.jsonl")


def test_json_lines_under_the_name_of_a_json_file_are_read(tmp_path):
    (tmp_path / "t.json").write_bytes(written(ROWS, ".jsonl"))
    assert read(tmp_path / "t.json") == WANTED
    (tmp_path / "t.json").write_bytes(written(ROWS[:2], ".jsonl") + b"{\n")
    assert "t.json: line 3: not valid JSON" in refusal(tmp_path / "t.json")


DEEP = "[" * 3_000 + "]" * 3_000
BROKEN = {
    "not JSON": '{"question": "q" "answer": "1"}',
    "nested too deeply": '{"question": "q", "answer": ' + DEEP + "}",
    "written twice": '{"question": "q", "answer": "1", "answer": "2"}',
    "written twice, inside": '{"question": "q", "answer": "1", "more": [{"a": 1, "a": 2}]}',
    "half a question": '{"question": "\\ud800", "answer": "1"}',
    "half an answer": '{"question": "q", "answer": "\\udfff"}',
    "half an id": '{"question": "q", "answer": "1", "id": "\\udfff"}',
    "no object": '["q", "1"]',
    "no question": '{"answer": "1"}',
    "no text": '{"question": {"text": "q"}, "answer": "1"}',
    "no answer": '{"question": "q", "answer": null}',
    "no golds": '{"question": "q", "answer": [null]}',
    "no number": '{"question": "q", "answer": NaN}',
    "not UTF-8": b'{"question": "\xff", "answer": "1"}'.decode("latin-1"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_row_is_rejected_by_name_below_the_share_and_refuses_its_source_above(tmp_path, fault):
    good = [{"question": f"q{i}", "answer": str(i), "id": i} for i in range(99)]
    broken = BROKEN[fault].encode("latin-1" if fault == "not UTF-8" else "utf-8")
    (tmp_path / "t.jsonl").write_bytes(written(good, ".jsonl") + broken + b"\n")
    reading = read_source("t", source(tmp_path / "t.jsonl", id_column="id"), 1)
    assert [e.question for e in reading.examples] == [row["question"] for row in good]
    (rejected,) = reading.rejected
    assert rejected.detail.startswith("line 100: ")
    assert rejected.reason in ("unreadable row", "no question", "no answer")
    assert len(rejected.row_id) == 64
    assert reading.num_read == 100
    told = refusal(tmp_path / "t.jsonl", id_column="id", max_bad_share=0.009)
    assert told.startswith(f"{tmp_path / 't.jsonl'}: line 100: ")
    assert "\n    -> " in told


def test_bad_rows_and_bad_golds_count_together(tmp_path):
    rows = [{"question": f"q{i}", "answer": i} for i in range(98)]
    rows += [{"question": "q"}, {"question": "q", "answer": "B"}]
    (tmp_path / "t.jsonl").write_bytes(written(rows, ".jsonl"))
    reading = read_source("t", source(tmp_path / "t.jsonl", grader="numeric", max_bad_share=0.02), 1)
    assert (len(reading.examples), len(reading.unsound), len(reading.rejected)) == (98, 1, 1)
    assert "does not take 1 of 99" in refusal(tmp_path / "t.jsonl", grader="numeric", max_bad_share=0.01)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"question,answer,answer\nq,1,2\n", "has two columns `answer`"),
        ("t.parquet", None, "has two columns `answer`"),
        ("t.jsonl.gz", b"no gzip", "cannot be read: Not a gzipped file"),
        ("t.jsonl.gz", gzip.compress(b"x" * 100, mtime=0)[:20], "cannot be read: Compressed file ended"),
        ("t.jsonl.zst", b"no zstd", "cannot be read: ZSTD"),
        ("t.jsonl.zst", packed(written(ROWS * 99, ".jsonl"), ".zst")[:40], "cannot be read: "),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path, name, content, words):
    if content is None:
        twice = pa.Table.from_arrays(
            [pa.array(["q"]), pa.array(["1"]), pa.array(["2"])], ["question", "answer", "answer"]
        )
        pq.write_table(twice, tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    told = refusal(tmp_path / name)
    assert words in told
    assert told.startswith(str(tmp_path / name))


def test_a_folder_here_never_poses_as_a_pinned_set_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "ds").mkdir(parents=True)
    for fields in ({"name": "mine/ds", "revision": "a" * 40}, {"name": "mine/ds", "kind": "hub", "revision": "a" * 40}):
        with pytest.raises(ValueError, match="lies here, and is no set of the hub"):
            source(**fields)
    with pytest.raises(ValueError, match="revision: is for a set of the hub"):
        source("mine/ds/", revision="a" * 40)


def test_what_dvc_must_watch_is_the_file_or_the_folder_that_a_pattern_looks_in(tmp_path, monkeypatch):
    assert source("a/b.jsonl").watched == "a/b.jsonl"
    assert source("a/b/").watched == "a/b/"
    assert source("a/*/c-*.jsonl").watched == "a"
    with pytest.raises(ValueError, match="a pattern in no folder of its own"):
        source("*.jsonl")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd[1].jsonl").write_bytes(written(ROWS, ".jsonl"))
    assert source("odd[1].jsonl").watched == "odd[1].jsonl"


def test_a_field_of_any_length_is_read(tmp_path):
    long = "word " * 100_000
    rows = [{"question": long, "answer": "1"}]
    for suffix in (".csv.gz", ".tsv"):
        (tmp_path / f"t{suffix}").write_bytes(packed(written(rows, suffix[:4]), suffix[4:]))
        assert read(tmp_path / f"t{suffix}") == [(long.strip(), "1")]


def test_a_refusal_lists_many_bad_rows_and_counts_the_rest(tmp_path):
    (tmp_path / "t.jsonl").write_text("{\n" * 1_000)
    told = refusal(tmp_path / "t.jsonl")
    assert told.count("not valid JSON") == 200
    assert "800 more rows are bad" in told
