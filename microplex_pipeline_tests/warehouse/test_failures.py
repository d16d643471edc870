"""The list of failures, also if people or programs have changed the file."""

from datetime import datetime

import pytest

from microplex_pipeline.warehouse.failures import failures_file, last_failures, write_failure

HEADER = "when,partition,step,why,run\n"
LINE = "2026-01-02T03:04:05+00:00,RI|2014,flow,too warm,one\n"


@pytest.fixture
def warehouse(tmp_path):
    return tmp_path / "w.duckdb"


DAMAGED = {
    "other columns": b"when;partition;step;why;run\n2026-01-02;RI|2014;flow;too warm;one\n",
    "not UTF-8": f"{HEADER}{LINE}".replace("too warm", "été").encode("latin-1"),
    "binary": b"PK\x03\x04\x00\xff",
    "empty": b"",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=list(DAMAGED))
def test_a_file_that_is_not_a_list_is_reported_and_moved_aside(warehouse, content, caplog):
    file = failures_file(warehouse)
    file.write_bytes(content)
    (damage,) = last_failures(warehouse, 5)
    assert damage["step"] == "damaged"
    write_failure(warehouse, "two", "VT|2014", "flow", "too cold")
    assert [row["why"] for row in last_failures(warehouse, 5)] == ["too cold"]
    assert file.with_name("failures.csv.damaged").read_bytes() == content
    assert "it was renamed to failures.csv.damaged" in caplog.text


def test_a_folder_of_that_name_is_moved_aside_with_its_contents(warehouse):
    failures_file(warehouse).mkdir()
    (failures_file(warehouse) / "mine").write_text("x")
    (damage,) = last_failures(warehouse, 5)
    assert damage["why"] == "it is a folder, not a file"
    failures_file(warehouse).with_name("failures.csv.damaged").write_text("an earlier one")
    write_failure(warehouse, "two", "VT|2014", "flow", "too cold")
    assert [row["why"] for row in last_failures(warehouse, 5)] == ["too cold"]
    assert (warehouse.parent / "failures.csv.damaged-2" / "mine").read_text() == "x"


@pytest.mark.parametrize(
    "line",
    [
        "02/01/2026 03:04,RI|2014,flow,by a spreadsheet,one",
        "2026-01-02T03:04:05,RI|2014,flow,of no time zone,one",
        "2026-01-02T03:04:05+00:00,RI|2014",
        ",,,,",
        '2026-01-02T03:04:05+00:00,RI|2014,flow,"never closed,one',
    ],
)
def test_an_unreadable_line_does_not_hide_the_others(warehouse, line):
    file = failures_file(warehouse)
    file.write_text(f"\ufeff{HEADER}\n{LINE}{line}", "utf-8")
    damage, failure = last_failures(warehouse, 5)
    assert damage["why"].startswith("1 of its lines cannot be read; the last one is ")
    assert line.split(",")[0] in damage["why"]
    assert datetime.fromisoformat(damage["when"]).tzinfo
    assert failure["why"] == "too warm"
    before = file.read_bytes()
    if '"' not in line:
        write_failure(warehouse, "two", "VT|2014", "flow", "too cold")
        assert [row["why"] for row in last_failures(warehouse, 5)][1:] == ["too cold", "too warm"]
    assert file.read_bytes().startswith(before)


def test_a_warning_is_logged_if_the_list_cannot_be_written(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    write_failure(tmp_path / "file" / "w.duckdb", "one", "RI|2014", "flow", "too warm")
    assert "a failure could not be written to failures.csv: " in caplog.text
