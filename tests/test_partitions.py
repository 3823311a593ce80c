"""Stages as functions of partitions: however the rows are cut and wherever they are mapped, the bytes are the same."""

import json
from collections import Counter
from contextlib import chdir
from dataclasses import replace

import pyarrow as pa
import pytest

from orca2.core.errors import InputErrors, Orca2Error
from orca2.core.rows import Example, Generation, Graded, Rejected
from orca2.core.tables import hash_range, logical_bytes, reversed_hashes, shard_of, to_table
from orca2.project import partitions, shards
from orca2.project.artifacts import EXAMPLES, GENERATIONS, GRADED, rejected
from orca2.project.partitions import distinct, map_rows, num_rows, partitions_of, read
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.filtering import GradeConfig, keep
from orca2.recipe.grading import grade
from tests import examples as make

GRADE = GradeConfig(keep="correct")
OUTPUTS = (GRADED, rejected("grade"))


def graded_and_rejected(questions, answers):
    graded = grade(questions, answers)
    return *keep(graded, GRADE), {"seen": len(answers)}


def bytes_of(root):
    return {file.relative_to(root): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """120 questions of two tasks with three answers each, in many shards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "SHARD_BYTES", 4000)
    questions = [
        make.example(row_id=f"{i:064x}", question=f"{i}?", answer=str(i), task="ab"[i % 2]) for i in range(120)
    ]
    answers = [
        make.generation(
            f"Answer: {i + (sample == i % 3)}", row_id=f"{i:064x}", sample_index=sample, key=f"{i}-{sample}"
        )
        for i in range(120)
        for sample in range(3)
    ]
    write_rows(EXAMPLES.path, Example, questions)
    write_rows(GENERATIONS.path, Generation, answers)
    return tmp_path


def cut(monkeypatch, at_once, here=10**9):
    """Let a partition read so many shards, and this process so many."""
    monkeypatch.setattr(partitions, "PARTITION_SHARDS", at_once)
    monkeypatch.setattr(partitions, "HERE_SHARDS", here)
    return partitions_of(EXAMPLES, GENERATIONS)[0]


def naive(project):
    """All rows at once, row by row."""
    kept, lost, _ = graded_and_rejected(read_rows(EXAMPLES.path, Example), read_rows(GENERATIONS.path, Generation))
    write_rows(project / "naive/data/graded", Graded, kept)
    write_rows(project / "naive/data/rejected/grade", Rejected, lost)
    return bytes_of(project / "naive/data")


def written(project):
    return {
        name: content for name, content in bytes_of(project / "data").items() if name.parts[0] in ("graded", "rejected")
    }


def test_any_number_of_partitions_gives_the_bytes_of_one(project, monkeypatch):
    expected, counts = naive(project), set()
    for at_once in (10**9, 20, 5, 2, 1):
        counts.add(cut(monkeypatch, at_once))
        mapped = map_rows(graded_and_rejected, (EXAMPLES, GENERATIONS), OUTPUTS)
        assert written(project) == expected
        assert mapped == ((120, 360), (240, 120), {"wrong answer": 120}, {"seen": 360})
    assert len(counts) > 3
    assert max(counts) > len(list(EXAMPLES.path.glob("*.parquet")))


def test_ray_gives_the_bytes_of_this_process(project, monkeypatch, ray):
    expected = naive(project)
    count = cut(monkeypatch, 20, here=0)
    assert count > 1
    mapped = map_rows(graded_and_rejected, (EXAMPLES, GENERATIONS), OUTPUTS)
    assert written(project) == expected
    assert mapped.rows_out == (240, 120)
    with pytest.raises(InputErrors) as caught:
        map_rows(refuse, (EXAMPLES, GENERATIONS), [GRADED])
    assert len(caught.value.errors) == count
    assert written(project) == expected


def refuse(questions, answers):
    raise Orca2Error("no", questions[0].row_id, "")


def test_a_partition_holds_all_rows_of_its_ids_and_no_others(project, monkeypatch):
    count = 4 * cut(monkeypatch, 1)
    questions = [set(read(EXAMPLES, i, count)["row_id"].to_pylist()) for i in range(count)]
    answers = [Counter(read(GENERATIONS, i, count)["row_id"].to_pylist()) for i in range(count)]
    assert all(set(a) == q for a, q in zip(answers, questions, strict=True))
    assert Counter(sum(answers, Counter())) == dict.fromkeys(set().union(*questions), 3)
    assert num_rows(EXAMPLES) == sum(map(len, questions)) == 120


def test_an_identity_that_two_partitions_or_batches_write_twice_is_refused(project, monkeypatch):
    cut(monkeypatch, 2)
    with pytest.raises(Orca2Error, match="two rows share the identity"):
        map_rows(twice, (GENERATIONS,), (GENERATIONS,))
    assert num_rows(GENERATIONS) == 360


def twice(answers):
    return ([*answers, replace(answers[0], text="again")],)


def test_a_stage_that_fails_leaves_the_old_artifacts_and_no_debris(project, monkeypatch):
    map_rows(graded_and_rejected, (EXAMPLES, GENERATIONS), OUTPUTS)
    before = bytes_of(project)
    cut(monkeypatch, 1)
    with pytest.raises(ZeroDivisionError):
        map_rows(fail_late, (GENERATIONS,), [GRADED])
    assert bytes_of(project) == before


def fail_late(answers):
    if "1-0" in {answer.key for answer in answers}:
        raise ZeroDivisionError
    return ([],)


def test_the_distinct_values_of_a_column_are_those_of_the_rows(project):
    assert distinct(EXAMPLES, "task") == {"a", "b"}
    assert distinct(EXAMPLES, "task", split="train", answer="3") == {"b"}
    assert distinct(EXAMPLES, "task", split="probe") == set()


def test_reversed_hashes_are_those_of_the_shards_and_a_size_is_the_sum_of_any_parts():
    rows = [make.request(row_id=f'{i} "ü\\', sample_index=i) for i in range(200)]
    table = to_table(rows, type(rows[0]))
    for count in (1, 2, 8, 256):
        for row, hashed in zip(rows, reversed_hashes(table).tolist(), strict=True):
            first, end = hash_range(shard_of(row.row_id, count), count)
            assert first <= hashed < end
    cut = [table.slice(0, 7), table.slice(7, 100), table.slice(107)]
    assert sum(map(logical_bytes, cut)) == logical_bytes(table) == logical_bytes(pa.concat_tables(cut))


@pytest.mark.slow
def test_three_gib_in_one_column_are_written_and_read_back(tmp_path):
    """Arrow's texts have 32-bit offsets: all 3,000 rows of 1 MiB never lie in one array."""
    rows = [make.graded(row_id=f"{i:064x}", text=f"{i} " + "x" * (1 << 20)) for i in range(3000)]
    with chdir(tmp_path):
        assert write_rows(GRADED.path, Graded, rows) == 3000
        assert partitions_of(GRADED)[0] > 8
        some = read(GRADED, 3, 64)
    assert sorted(json.loads(text.split()[0]) for text in some["text"].to_pylist()) == [
        i for i in range(3000) if shard_of(f"{i:064x}", 64) == 3
    ]
