"""microplex status, and what every command says of itself."""

import shutil

import duckdb
import pytest

from microplex_pipeline.cli import COMMANDS
from microplex_pipeline.warehouse.failures import write_failure
from microplex_pipeline_tests.conftest import variables


def test_what_is_built_is_counted_by_year(microplex):
    result = microplex("status")
    assert result.exit_code == 0, result.output
    assert "w.duckdb, " in result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["2014", "2", "0", "49", "current", "current"] in lines
    assert "out of date in" not in result.output
    assert "last failures" not in result.output
    earlier = microplex("status", "--year", "2013")
    lines = [line.split() for line in earlier.output.splitlines()]
    assert ["2013", "0", "0", "51", "not", "built", "not", "built"] in lines


def test_what_is_out_of_date_and_what_failed_is_named(
    microplex, backfilled, monkeypatch, tmp_path
):
    folder = shutil.copytree(backfilled.folder, tmp_path / "project")
    for name, value in variables(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MICROPLEX_PARAMETERS__POPULATION__HOUSEHOLDS", "1600")
    for number in range(7):
        write_failure(folder / "w.duckdb", f"run {number}", "VT|2014", "flow", f"reason {number}")
    result = microplex("status")
    assert result.exit_code == 0
    assert "out of date in 2014: RI, VT\n  synthetic_population, calibrated_population" in (
        result.output
    )
    assert "VT|2014  flow: reason 6" in result.output
    assert "reason 1" not in result.output  # the last five


def test_nothing_is_made_where_nothing_is(microplex, monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPLEX_WAREHOUSE", str(tmp_path / "none.duckdb"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    result = microplex("status")
    assert result.exit_code == 0
    assert "run `microplex build RI 2014` first" in result.output
    assert not list(tmp_path.iterdir())


def test_a_warehouse_tells_what_is_current_without_any_history(microplex, monkeypatch, tmp_path):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    result = microplex("status")
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["2014", "2", "0", "49", "current", "current"] in lines
    assert not list(tmp_path.iterdir())


def test_a_warehouse_of_an_earlier_release_opens_and_is_out_of_date(
    microplex, backfilled, monkeypatch, tmp_path
):
    """Releases before 0.2 kept versions in Dagster's history alone."""
    earlier = shutil.copy(backfilled.folder / "w.duckdb", tmp_path / "w.duckdb")
    with duckdb.connect(earlier) as connection:
        connection.execute("drop schema provenance cascade")
    monkeypatch.setenv("MICROPLEX_WAREHOUSE", str(earlier))
    result = microplex("status")
    assert result.exit_code == 0
    assert result.output.count("does not record what its tables were made from") == 1
    lines = [line.split() for line in result.output.splitlines()]
    assert ["2014", "0", "2", "49", "out", "of", "date", "out", "of", "date"] in lines
    assert microplex("query", "select count(*) from survey.survey").exit_code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_example(microplex, command):
    result = microplex(command, "--help")
    assert result.exit_code == 0
    assert f"microplex {command}" in result.output
    assert "Example" in result.output
    assert "xit code" in result.output
