"""Sources: what a row says of itself reaches its question, whatever shape it has."""

import json

from orca2.recipe.sources import SourceConfig, read_source
from orca2.recipe.sources.origin import Origin, group_of, origin_of


def source(name, **fields):
    values = {"kind": "file", "name": str(name), "category": "any", "licence": "MIT"}
    return SourceConfig(**values | fields)


def jsonl(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def test_a_row_keeps_its_own_id_and_its_group_and_a_source_without_them_says_nothing(tmp_path):
    rows = [{"question": f"q{i}", "answer": "1", "at": i, "passage": "word " * 60 * (i // 2)} for i in range(4)]
    file = jsonl(tmp_path / "t.jsonl", rows)
    plain = read_source("t", source(file), 1).examples
    assert [e.metadata for e in plain] == ["{}"] * 4
    told = read_source("t", source(file, id_column="at", group_column="passage"), 1).examples
    assert [origin_of(e.metadata).id for e in told] == ["0", "1", "2", "3"]
    groups = [group_of(e.metadata) for e in told]
    assert groups[:2] == ["", ""]
    assert groups[2] == groups[3]
    assert len(groups[2]) == 64, "a long passage is told by its digest"
    assert [e.row_id for e in told] == [e.row_id for e in plain]


def test_what_others_say_by_that_name_is_no_origin():
    assert origin_of('{"origin":"Rome"}') == Origin()
