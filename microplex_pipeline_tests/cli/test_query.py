"""microplex query: its output, and that it can only read the warehouse."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest

from microplex_pipeline.cli.text_table import text_table
from microplex_pipeline.warehouse import access, reading
from microplex_pipeline.warehouse.reading import Texts, query
from microplex_pipeline_tests.conftest import CHECKOUT, variables
from microplex_pipeline_tests.warehouse.test_access import another_program

BY_STATUS = (
    "select state, filing_status, count(*) as units, sum(wages) as wages "
    "from calibration.calibrated_population group by all order by all"
)


def test_a_table_gives_the_number_of_rows(microplex):
    whole = microplex("query", "from evaluation.state_report select state, year, records")
    assert whole.exit_code == 0
    assert "│ VT      │    2014 │" in whole.output
    assert whole.output.endswith("\n2 rows\n")
    part = microplex("query", "--limit", 3, "select state from survey.survey where state = 'RI'")
    assert part.output.count("│ RI      │") == 3
    assert "the first 3 rows; --limit shows more" in part.output


def test_csv_and_json_have_all_rows(microplex, warehouse):
    expected = query(warehouse, BY_STATUS)
    csv = microplex("query", BY_STATUS, "--format", "csv", "--limit", 1)
    assert pl.read_csv(io.StringIO(csv.stdout)).rows() == [
        (*row[:3], int(row[3])) for row in expected.rows()
    ]
    rows = json.loads(microplex("query", BY_STATUS, "--format", "json").stdout)
    assert rows == [{**row, "wages": int(row["wages"])} for row in expected.to_dicts()]
    null = json.loads(microplex("query", "select 'é' as a, null as b", "--format", "json").stdout)
    assert null == [{"a": "é", "b": None}]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("delete from survey.survey", "DELETE is refused: only statements that read are run"),
        ("create table mine as select 1", "CREATE is refused"),
        ("create temp table mine as select 1", "CREATE is refused"),
        ("copy survey.survey to '{folder}/out.csv'", "COPY is refused"),
        ("attach '{folder}/other.duckdb'", "ATTACH is refused"),
        ("export database '{folder}/all'", "EXPORT is refused"),
        ("install httpfs", "LOAD is refused"),
        ("set enable_external_access = true", "SET is refused"),
        ("select 1; drop table survey.survey", "give one SQL statement, not 2"),
        ("", "give one SQL statement, not 0"),
        ("from read_csv('{folder}/secret.csv')", "Cannot access file"),
        ("from '{folder}/secret.csv'", "Cannot access file"),
        ("select * from read_text('{folder}/secret.csv')", "Cannot access file"),
        ("from glob('{folder}/*')", "Cannot access file"),
        ("explain analyze delete from survey.survey", "read-only mode"),
        ("explain analyze copy (select 1) to '{folder}/out.csv'", "Cannot access file"),
        ("from warehouse", "does not exist"),  # a variable of this program
        ("selec 1", 'syntax error at or near "selec"'),
        ("select nothing from survey.survey", "nothing"),
    ],
)
def test_anything_but_reading_the_warehouse_is_refused(
    microplex, warehouse, tmp_path, sql, message
):
    (tmp_path / "secret.csv").write_text("word\nhidden\n")
    before = warehouse.read_bytes()
    result = microplex("query", sql.format(folder=tmp_path))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert "hidden" not in result.output
    assert isinstance(result.exception, SystemExit)  # a message without a traceback
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert warehouse.read_bytes() == before


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_column_that_a_format_cannot_represent_is_named(microplex, kind):
    result = microplex("query", "select weights from models.flow", "--format", kind)
    assert result.exit_code == 1
    assert "the column weights has values of type Binary" in result.stderr


def test_a_missing_warehouse_is_reported_with_what_to_do(microplex, monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPLEX_WAREHOUSE", str(tmp_path / "none.duckdb"))
    result = microplex("query", "select 1")
    assert result.exit_code == 1
    assert "there is no warehouse" in result.stderr
    assert "microplex build RI 2014" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("value", ["'infinity'::date", "'-infinity'::timestamp"])
def test_an_infinite_date_is_named(microplex, kind, value):
    result = microplex("query", f"select {value} as ever", "--format", kind)
    assert result.exit_code == 1
    assert "the column ever has a date outside the years 1 to 9999" in result.stderr
    usual = microplex("query", "select date '9999-12-31' as d, null as n", "--format", kind)
    assert usual.exit_code == 0
    assert "9999-12-31" in usual.output


def test_a_table_shows_what_files_cannot_hold(microplex):
    shown = microplex(
        "query",
        "select 'infinity'::date as a, 2 as a, interval 3 day as i, 'x'::blob as b, [1, null] as l, "
        "repeat('q', 100) as t",
    )
    assert shown.exit_code == 0
    names, types, _, values = shown.output.splitlines()[1:5]
    assert [n.strip() for n in names.strip("│").split("│")] == ["a", "a", "i", "b", "l", "t"]
    assert "integer[]" in types
    for value in ("│ infinity │", "│ 3 days ", "│ [1, NULL] │", f"│ {'q' * 60}… │"):
        assert value in values
    for kind in ("csv", "json"):
        refused = microplex("query", "select 1 as a, 2 as a", "--format", kind)
        assert refused.exit_code == 1
        assert "Give all columns different names" in refused.stderr


@pytest.mark.parametrize(("width", "columns"), [(8, 1), (20, 1), (21, 2), (30, 2), (31, 3)])
def test_on_a_terminal_only_the_columns_that_fit_are_shown(monkeypatch, width, columns):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    table = text_table(Texts(["a", "b", "c"], ["VARCHAR"] * 3, [("1", "2", "日本")]), 50)
    lines = table.splitlines()
    assert lines[1].count("│") == columns + 1
    assert len(lines[0]) <= width or columns == 1
    fit = f"1 row; {columns} of 3 columns fit on the screen"
    assert lines[-1] == ("1 row" if columns == 3 else fit)


@pytest.mark.parametrize("limit", [0, 1_000_001, 2**63 - 1, 10**30])
def test_a_limit_out_of_range_is_refused(microplex, limit):
    refused = microplex("query", "select 1", "--limit", limit)
    assert refused.exit_code == 2
    assert f"{limit} is not in the range 1<=x<=1000000" in refused.stderr


def test_a_plan_is_shown_over_several_lines(microplex):
    plan = microplex("query", "explain select state from survey.survey")
    assert plan.output.count("SEQ_SCAN") == 1
    assert all(len(line) < 100 for line in plan.output.splitlines())


def test_letters_of_two_columns_keep_the_lines_straight(microplex):
    lines = microplex("query", "select '日本' as wide, 1 as n").output.splitlines()
    assert lines[4] == "│ 日本    │       1 │"
    assert lines[1] == "│ wide    │       n │"


def test_whole_numbers_too_large_for_json_are_reported(microplex):
    result = microplex("query", f"select {2**126}::hugeint as wide", "--format", "json")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "the result has values that json cannot represent" in result.stderr


def test_control_characters_are_escaped(microplex):
    result = microplex("query", "select 'a' || chr(27) || '[31mred' as text")
    assert r"a\x1b[31mred" in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select range as a, range as b from range(100)", "more than 49 rows of 2 columns"),
        ("select list(hash(range)) as a from range(400_000_000)", "Out of Memory Error"),
    ],
)
def test_a_query_cannot_take_all_memory(microplex, monkeypatch, sql, message):
    monkeypatch.setattr(reading, "VALUES", 99)
    monkeypatch.setitem(access.READ_ONLY, "memory_limit", "200MB")
    result = microplex("query", sql, "--format", "json")
    assert result.exit_code == 1
    assert message in result.stderr


def test_csv_has_no_formulas(microplex):
    result = microplex("query", "select '=1+1' as \"=text\", -5 as number", "--format", "csv")
    assert result.stdout == "'=text,number\n'=1+1,-5\n"


def test_a_table_fetches_no_more_than_it_shows(microplex):
    result = microplex("query", "--limit", 1, "select range as n from range(1000000000000)")
    assert result.output.endswith("the first row; --limit shows more, --format csv gives all\n")
    none = microplex("query", "select 1 as n where false")
    assert none.output.endswith("\n0 rows\n")


@pytest.mark.parametrize("words", [["query", "select 1"], ["status"], ["report", "RI", "2014"]])
def test_a_warehouse_in_use_for_long_is_reported(microplex, warehouse, monkeypatch, words):
    class Impatient(access._Waiting):
        def __init__(self, path, seconds):
            assert seconds == 30.0
            super().__init__(path, 0.1)

    monkeypatch.setattr(access, "_Waiting", Impatient)
    with another_program(warehouse, "writes") as writer:
        result = microplex(*words)
    assert result.exit_code == 1
    assert f"the warehouse w.duckdb was in use for 0 seconds by process {writer.pid}" in (
        result.stderr
    )


def test_ctrl_c_ends_a_query_with_130(backfilled):
    endless = "select count(*) as n from range(100000000000) a where hash(a.range) = 7"
    command = [sys.executable, "-m", "microplex_pipeline", "query", endless]
    environment = {**os.environ, **variables(backfilled.folder), "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=_with_ctrl_c
    ) as process:
        file = Path(variables(backfilled.folder)["MICROPLEX_WAREHOUSE"])
        while process.poll() is None and not _being_read(file):
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            message = process.communicate(timeout=10)[1]
        finally:
            process.kill()
    assert message == "\nstopped\n"
    assert process.returncode == 130


def _with_ctrl_c():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _being_read(file):
    try:
        duckdb.connect(str(file)).close()
    except duckdb.IOException:
        return True
    return False


def test_a_table_loads_neither_polars_nor_dagster(backfilled):
    program = (
        "import sys; from microplex_pipeline.cli import main; "
        "main(['query', 'select 1'], standalone_mode=False); "
        "print(*[m for m in ('dagster', 'numpy', 'polars') if m in sys.modules])"
    )
    environment = {**os.environ, **variables(backfilled.folder), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-2:] == ["1 row", ""]
