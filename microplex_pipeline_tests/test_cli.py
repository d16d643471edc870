"""The command line, and what is left behind by a run that is killed."""

import os
import re
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from microplex_pipeline.cli import main
from microplex_pipeline.warehouse.reading import query


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "ZZ", "2014"], "'ZZ' is no state: use a postal code"),
        (["build", "RI", "2011"], "'2011' is not among 2012 to"),
        (["build", "RI", "soon"], "'soon' is not among 2012 to"),
        (["build", "RI"], "Missing argument 'YEAR'"),
        (["report"], "give a state and a year, as in RI 2014, or --year 2014"),
        (["report", "RI"], "give a state and a year"),
        (["report", "RI", "2014", "--year", "2014"], "give a state and a year"),
        (["report", "ZZ", "2014"], "'ZZ' is no state"),
        (["report", "--year", "2011"], "'2011' is not among 2012 to"),
    ],
)
def test_wrong_words_are_named(arguments, message):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_help_teaches():
    result = CliRunner().invoke(main, ["build", "--help"])
    assert result.exit_code == 0
    assert "microplex build RI 2014" in result.output


@pytest.fixture
def environment(project_with_prior):
    return {
        **os.environ,
        "DAGSTER_HOME": str(project_with_prior / "home"),
        "MICROPLEX_CONFIG": str(project_with_prior / "microplex.yaml"),
        "PYTHONUNBUFFERED": "1",
    }


COMMAND = [sys.executable, "-m", "microplex_pipeline.cli", "build", "RI", "2014"]


def test_a_killed_run_leaves_whole_partitions_and_can_be_repeated(environment, project_with_prior):
    run = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, text=True)
    for line in run.stdout:
        if line.strip() == "flow":
            break
    run.send_signal(signal.SIGKILL)
    run.wait()
    warehouse = project_with_prior / "w.duckdb"
    count = "select count(*) as n from {}"
    assert query(warehouse, count.format("survey.survey"))["n"][0] == 1204
    assert query(warehouse, count.format("models.zero_model"))["n"][0] == 1
    tables = query(warehouse, "select table_name as t from information_schema.tables")["t"]
    assert "flow" not in tables

    again = subprocess.run(COMMAND, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert re.search(r"targets +29 of 29 met within 0\.1 %", again.stdout)
    assert "calibrated_population" in again.stdout
    assert query(warehouse, count.format("models.flow"))["n"][0] == 1


def test_a_failed_run_says_why_and_ends_with_an_error(environment, tmp_path):
    (tmp_path / "data").mkdir()
    failed = subprocess.run(
        COMMAND,
        env={**environment, "MICROPLEX_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
    )
    assert failed.returncode == 1
    assert "Error: survey schema cps_tax_units.yaml" in failed.stderr
    assert "Traceback" not in failed.stderr
