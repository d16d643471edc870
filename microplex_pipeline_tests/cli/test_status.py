"""microplex status, and the help of every command."""

import shutil

import duckdb
import pytest

from microplex_pipeline.cli import COMMANDS
from microplex_pipeline.warehouse.failures import write_failure
from microplex_pipeline_tests.conftest import variables


def test_built_states_are_counted_by_year(microplex):
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


def test_outdated_states_and_failures_are_listed(microplex, backfilled, monkeypatch, tmp_path):
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
    assert "reason 1" not in result.output  # only the last five are shown


def test_status_without_a_warehouse_creates_nothing(microplex, monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPLEX_WAREHOUSE", str(tmp_path / "none.duckdb"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    result = microplex("status")
    assert result.exit_code == 0
    assert "run `microplex build RI 2014` first" in result.output
    assert not list(tmp_path.iterdir())


def test_status_needs_no_history_of_runs(microplex, monkeypatch, tmp_path):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    result = microplex("status")
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["2014", "2", "0", "49", "current", "current"] in lines
    assert not list(tmp_path.iterdir())


def test_a_warehouse_of_an_earlier_release_can_be_read_and_is_out_of_date(
    microplex, backfilled, monkeypatch, tmp_path
):
    """Releases before 0.2 kept versions only in Dagster's history."""
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
def test_every_commands_help_has_an_example_and_exit_codes(microplex, command):
    result = microplex(command, "--help")
    assert result.exit_code == 0
    assert f"microplex {command}" in result.output
    assert "Example" in result.output
    assert "xit code" in result.output
