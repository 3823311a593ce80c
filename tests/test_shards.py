"""Artifacts: the same rows are the same bytes, every row comes back, and nothing torn is read as good."""

import dataclasses
import hashlib
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca2.core.errors import Orca2Error
from orca2.core.rows import Chat, Graded, PackedSequence, Rejected, Request, Sampling, Segment
from orca2.core.tables import arrow_schema
from orca2.project import cells, shards
from orca2.project.shards import read_rows, write_parquet, write_rows
from tests.examples import graded, rejected, request, turns

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ROWS = st.lists(
    st.builds(
        graded,
        row_id=st.sampled_from("abcdef"),
        sample_index=st.integers(0, 3),
        text=TEXT,
        strict_answer=st.none() | TEXT,
        strict_correct=st.booleans(),
    ),
    unique_by=lambda row: (row.row_id, row.sample_index),
    max_size=12,
)


def bytes_of(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def canonical_order(rows):
    return sorted(rows, key=lambda row: (row.row_id, row.sample_index))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, shuffle=st.randoms(use_true_random=False), shard_bytes=st.sampled_from([300, 1 << 25]))
def test_every_row_comes_back_and_the_order_they_came_in_leaves_no_trace(
    tmp_path, monkeypatch, rows, shuffle, shard_bytes
):
    monkeypatch.setattr(shards, "SHARD_BYTES", shard_bytes)
    shuffled = shuffle.sample(rows, len(rows))
    assert write_rows(tmp_path / "a", Graded, rows) == len(rows)
    write_rows(tmp_path / "b", Graded, shuffled)
    assert read_rows(tmp_path / "a", Graded) == canonical_order(rows)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_every_row_type_with_nested_rows_and_tuples_round_trips(tmp_path):
    segment = Segment(row_id="a", sample_index=0, start=0, length=3, supervised_start=1, supervised_end=3)
    chat = Chat(
        row_id="a", sample_index=0, task="t", strategy="s", key="k", erased_template="f", student_template="g",
        messages=turns("question ∑", "answer\n"),
    )  # fmt: skip
    packed = PackedSequence(sequence_index=0, input_ids=(1, 2, 3), labels=(-100, 2, 3), segments=(segment,))
    sampled = request(sampling=Sampling(temperature=0.5, stop=("a", "b")))
    for row in (chat, packed, sampled, request(), rejected(), graded(strict_answer=None)):
        write_rows(tmp_path / "rows", type(row), [row])
        assert read_rows(tmp_path / "rows", type(row)) == [row]


def naive_artifact(folder, row_type, rows):
    """One shard, row by row: each row a dictionary, the digest of each cell by itself."""
    folder.mkdir()
    ordered = [dataclasses.asdict(row) for row in sorted(rows, key=shards.row_identity)]
    table = pa.Table.from_pylist(ordered, arrow_schema(row_type))
    write_parquet(folder / "rows-00-of-01.parquet", table)
    digests = {name: [cells.of(value) for value in table[name].to_pylist()] for name in table.schema.names}
    mark = {b"orca2.rows": cells._mark(folder / "rows-00-of-01.parquet")}
    made = pa.table({name: pa.array(values, pa.uint64()) for name, values in digests.items()})
    pq.write_table(
        made.replace_schema_metadata(mark), folder / ".rows-00-of-01.digests",
        compression="none", version="2.6", write_statistics=False,
    )  # fmt: skip


@pytest.mark.parametrize("row", ["chat", "packed", "request", "rejected", "graded"])
def test_rows_are_written_as_one_by_one(tmp_path, row):
    turn = turns("question ∑", "answer\n", system='"quoted"')
    segments = (Segment(row_id="a", sample_index=0, start=0, length=3, supervised_start=1, supervised_end=3),)
    rows = {
        "chat": [
            Chat(
                row_id=f"{n % 7}", sample_index=n, task="t", strategy="s", key="k", erased_template="f",
                student_template="g", messages=turn[: n % 4],
            )
            for n in range(40)
        ],
        "packed": [
            PackedSequence(sequence_index=n, input_ids=(n, 2, 3), labels=(-100, 2, 3), segments=segments * (n % 3))
            for n in range(40)
        ],
        "request": [request(row_id=f"{n}", sampling=Sampling(top_p=1 / n, stop=("a",) * (n % 2))) for n in range(1, 9)],
        "rejected": [rejected(row_id=f"{n % 5}", sample_index=n) for n in range(9)],
        "graded": [graded(row_id=f"{n}", strict_answer=None if n % 2 else "x", text=f"∑ {n}") for n in range(40)],
    }[row]  # fmt: skip
    write_rows(tmp_path / "fast", type(rows[0]), rows[::-1])
    naive_artifact(tmp_path / "naive", type(rows[0]), rows)
    assert bytes_of(tmp_path / "fast") == bytes_of(tmp_path / "naive")
    assert read_rows(tmp_path / "fast", type(rows[0])) == sorted(rows, key=shards.row_identity)


def test_who_reads_the_folder_as_parquet_sees_the_rows_alone(tmp_path):
    import datasets
    import pandas

    write_rows(tmp_path / "rows", Graded, [graded(row_id="a"), graded(row_id="b")])
    assert list(pandas.read_parquet(tmp_path / "rows")["row_id"]) == ["a", "b"]
    loaded = datasets.load_dataset("parquet", data_dir=str(tmp_path / "rows"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"]["row_id"][:] == ["a", "b"]


def test_a_golden_artifact_pins_the_bytes_of_today(tmp_path):
    rows = [graded(row_id=i, sample_index=n) for i in "ab" for n in range(2)]
    write_rows(tmp_path / "rows", Graded, rows)
    (file,) = (tmp_path / "rows").glob("*.parquet")
    assert file.name == "rows-00-of-01.parquet"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == GOLDEN_ARTIFACT


def test_adding_a_row_touches_one_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 4000)
    rows = [graded(row_id=f"{i:03d}", text="x" * 100) for i in range(100)]
    write_rows(tmp_path / "before", Graded, rows[:40] + rows[41:])
    write_rows(tmp_path / "after", Graded, rows)
    before, after = bytes_of(tmp_path / "before"), bytes_of(tmp_path / "after")
    assert set(before) == set(after)
    assert len(before) > 4
    # The shard, and the digests of its cells.
    assert len({name.strip(".").split(".")[0] for name in before if before[name] != after[name]}) == 1


def test_two_rows_with_one_identity_are_refused_and_the_old_artifact_stays(tmp_path):
    write_rows(tmp_path / "rows", Graded, [graded(text="old")])
    with pytest.raises(Orca2Error, match="two rows share the identity"):
        write_rows(tmp_path / "rows", Graded, [graded(text="a"), graded(text="b")])
    assert [row.text for row in read_rows(tmp_path / "rows", Graded)] == ["old"]


def test_a_failed_write_leaves_the_old_artifact_and_no_debris(tmp_path):
    write_rows(tmp_path / "rows", Graded, [graded()])
    broken = dataclasses.replace(graded(row_id="z"), text=object())
    with pytest.raises(Exception, match="object"):
        write_rows(tmp_path / "rows", Graded, [graded(), broken])
    assert read_rows(tmp_path / "rows", Graded) == [graded()]
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_a_rewrite_leaves_no_shard_of_the_larger_artifact_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 300)
    write_rows(tmp_path / "rows", Graded, [graded(row_id=str(i)) for i in range(20)])
    write_rows(tmp_path / "rows", Graded, [])
    assert read_rows(tmp_path / "rows", Graded) == []
    names = sorted(file.name for file in (tmp_path / "rows").iterdir())
    assert names == [".rows-00-of-01.digests", "rows-00-of-01.parquet"]


def test_a_folder_that_cannot_be_written_is_an_error_with_the_next_step(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Orca2Error, match="cannot write: Not a directory") as caught:
        write_rows(tmp_path / "file" / "rows", Graded, [graded()])
    assert "free some space or mend the permissions" in caught.value.hint


def test_a_full_disk_is_an_error_with_the_next_step_and_the_old_artifact_stays(tiny_disk):
    write_rows(tiny_disk / "rows", Graded, [graded()])
    noise = "".join(random.Random(0).choices("abcdefghijklmnop", k=1 << 20))  # noqa: S311
    with pytest.raises(Orca2Error, match="cannot write: File too large"):
        write_rows(tiny_disk / "rows", Graded, [graded(text=noise)])
    assert read_rows(tiny_disk / "rows", Graded) == [graded()]
    assert [path.name for path in tiny_disk.iterdir()] == ["rows"]


def test_a_missing_artifact_says_what_to_run(tmp_path):
    with pytest.raises(Orca2Error, match="artifact is missing") as caught:
        read_rows(tmp_path / "nothing", Graded)
    assert "dvc repro" in caught.value.hint


@pytest.mark.parametrize("fault", ["one missing", "one too many", "mixed counts", "odd name"])
def test_an_artifact_that_is_not_one_complete_set_of_shards_is_refused(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(shards, "SHARD_BYTES", 3000)
    write_rows(tmp_path / "rows", Graded, [graded(row_id=str(i), text="x" * 60) for i in range(60)])
    files = sorted((tmp_path / "rows").glob("*.parquet"))
    assert len(files) > 2
    match fault:
        case "one missing":
            files[1].unlink()
        case "one too many":
            files[0].with_name("rows-00-of-01.parquet").write_bytes(files[0].read_bytes())
        case "mixed counts":
            files[1].rename(files[1].with_name(f"rows-01-of-{2 * len(files):02d}.parquet"))
        case "odd name":
            files[1].rename(files[1].with_name("rows-x-of-y.parquet"))
    with pytest.raises(Orca2Error, match="not one complete set"):
        read_rows(tmp_path / "rows", Graded)


@pytest.mark.parametrize("keep", [0, 3, 200, -1])
def test_a_torn_shard_is_refused_by_name(tmp_path, keep):
    write_rows(tmp_path / "rows", Graded, [graded()])
    (file,) = (tmp_path / "rows").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(Orca2Error, match="cannot be read") as caught:
        read_rows(tmp_path / "rows", Graded)
    assert file.name in caught.value.where


def test_a_flipped_bit_in_the_data_is_never_read_as_another_row(tmp_path):
    rows = [graded(row_id=i, text=f"Answer: {i * 20}") for i in "abcd"]
    write_rows(tmp_path / "rows", Graded, rows)
    (file,) = (tmp_path / "rows").glob("*.parquet")
    good = file.read_bytes()
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    for offset in range(4, footer, 7):
        file.write_bytes(good[:offset] + bytes([good[offset] ^ 0x10]) + good[offset + 1 :])
        try:
            assert read_rows(tmp_path / "rows", Graded) == rows
        except Orca2Error as error:
            assert file.name in error.where


def test_an_artifact_of_another_row_type_is_refused(tmp_path):
    write_rows(tmp_path / "rows", Rejected, [rejected()])
    with pytest.raises(Orca2Error, match="is not an artifact of Request"):
        read_rows(tmp_path / "rows", Request)


GOLDEN_ARTIFACT = "05cf312c6445baa43542c40489bbae623a37ff884035c7e814b1bef6e05952d4"
