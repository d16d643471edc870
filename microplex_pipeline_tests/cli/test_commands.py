"""The command line: wrong arguments, killed and stopped runs, failures."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from microplex_pipeline.cli import main
from microplex_pipeline.defs import coverage
from microplex_pipeline.defs.coverage import closed_years
from microplex_pipeline.warehouse.failures import last_failures
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline_tests.conftest import DATA, is_alive, variables


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "ZZ", "2014"], "'ZZ' is not a state: use a postal code"),
        (["build", "RI", "2011"], "'2011' is not among 2012 to"),
        (["build", "RI", "soon"], "'soon' is not among 2012 to"),
        (["build", "RI"], "Missing argument 'YEAR'"),
        (["report"], "give a state and a year, as in RI 2014, or --year 2014"),
        (["report", "RI"], "give a state and a year"),
        (["report", "RI", "2014", "--year", "2014"], "give a state and a year"),
        (["report", "ZZ", "2014"], "'ZZ' is not a state"),
        (["report", "--year", "2011"], "'2011' is not among 2012 to"),
        (
            ["status", "--year", "1999"],
            f"begins in 2012, and {closed_years()[-1]} is the last year",
        ),
        (["query", "select '\udce9'"], r"the argument select '\udce9' is not valid UTF-8"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_help_has_an_example():
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


COMMAND = [sys.executable, "-m", "microplex_pipeline", "build", "RI", "2014"]


def test_a_killed_run_leaves_complete_partitions_and_can_be_repeated(
    environment, project_with_prior
):
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

    # no weights meet targets so exactly: the records are built, but a check fails
    exacting = {**environment, "MICROPLEX_PARAMETERS__CHECKS__TARGET_TOLERANCE": "1e-18"}
    command = [*COMMAND, "--replicates", "2"]
    again = subprocess.run(command, env=exacting, capture_output=True, text=True)
    assert again.returncode == 1, again.stderr
    assert "A check failed (see above): do not use these records as they are" in again.stderr
    assert "an earlier run of RI 2014 ended prematurely and was marked as failed" in again.stdout
    assert "2 of 2 replicates" in again.stdout
    assert statuses(project_with_prior) == ["SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]
    failed = {(f["partition"], f["step"]) for f in last_failures(warehouse, 3)}
    assert failed == {("RI|2014", "flow"), ("RI|2014", "target_report_targets_met")}
    assert re.search(r"targets +19 of 19 exact ones met within 0\.1 %", again.stdout)
    assert "calibrated_population" in again.stdout
    assert query(warehouse, count.format("models.flow"))["n"][0] == 1


def statuses(project):
    with dg.DagsterInstance.from_config(str(project / "home")) as instance:
        return [run.status.value for run in reversed(instance.get_runs())]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_ends_at_once_and_changes_nothing_else(
    environment, project_with_prior, number
):
    run = subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in run.stdout:
        if line.strip() == "transformer":
            break
    stopped = time.monotonic()
    run.send_signal(number)
    _, message = run.communicate()
    assert time.monotonic() - stopped < 3
    assert run.returncode == 130
    assert message == (
        "\nstopped: finished steps are stored; the same command builds the whole state again, "
        "microplex backfill --states RI --year 2014 only what is missing or out of date\n"
    )
    assert "Traceback" not in message
    assert statuses(project_with_prior) == ["SUCCESS", "CANCELED"]
    assert query(project_with_prior / "w.duckdb", "from survey.survey").height == 1204


def test_a_killed_worker_loses_only_its_own_run_and_ctrl_c_ends_all(
    environment, project_with_prior
):
    command = [*COMMAND[:-3], "backfill", "--states", "RI,VT", "--year", "2014"]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    processes = project_with_prior / "home" / "processes"
    with dg.DagsterInstance.from_config(str(project_with_prior / "home")) as instance:
        of_states = dg.RunsFilter(job_name="build_state", statuses=[dg.DagsterRunStatus.STARTED])
        until(lambda: instance.get_runs_count(of_states) == 2)
        killed, other = children(run.pid)
        os.kill(killed, signal.SIGKILL)
        until(lambda: last_failures(project_with_prior / "w.duckdb", 1))
        assert children(run.pid) == [other]
        assert instance.get_runs_count(of_states) == 1
    stopped = time.monotonic()
    run.send_signal(signal.SIGINT)
    _, message = run.communicate()
    assert time.monotonic() - stopped < 3
    assert run.returncode == 130
    assert "stopped: finished steps are stored; run the same command again" in message
    assert "Traceback" not in message
    assert statuses(project_with_prior) == ["SUCCESS", "FAILURE", "FAILURE"]
    whys = sorted(f["why"] for f in last_failures(project_with_prior / "w.duckdb", 9))
    assert whys[0].startswith("its process ended before the run did")
    assert whys[1].startswith("stopped by Ctrl-C")
    until(lambda: not is_alive(other))
    assert not list(processes.glob("????????????????????????????????.lock"))


def until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def children(pid):
    """Return the worker processes that a process has spawned (from Linux's /proc)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(pid) and b"spawn_main" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except (ProcessLookupError, FileNotFoundError):
            continue  # ended in the meantime
    return found


def built_from(data, environment):
    return subprocess.run(
        COMMAND,
        env={**environment, "MICROPLEX_DATA": str(data)},
        capture_output=True,
        text=True,
    )


def test_a_failed_run_says_why_with_exit_code_1(environment, tmp_path):
    (tmp_path / "data").mkdir()
    failed = built_from(tmp_path / "data", environment)
    assert failed.returncode == 1
    assert "Error: survey schema cps_tax_units.yaml" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_failed_build_ends_with_the_step_and_the_reason(environment, tmp_path):
    shutil.copytree(DATA, tmp_path / "data")
    survey = tmp_path / "data" / "cps_tax_units.parquet"
    survey.write_bytes(survey.read_bytes()[:1_000_000])
    failed = built_from(tmp_path / "data", environment)
    assert failed.returncode == 1
    *_, what, why = failed.stderr.splitlines()
    assert what == "2014 was not built; the tables of failed steps are unchanged:"
    assert why.startswith("  national_survey: survey file cps_tax_units.parquet is damaged")


@pytest.mark.parametrize(
    "command",
    [
        ["build", "RI", "2014"],
        ["backfill"],
        ["status", "--year", "2014"],
        ["export", "RI", "2014", "--to", "exports"],
        ["report", "RI", "2014"],
        ["ui", "--port", "0"],
    ],
)
def test_a_clock_before_the_first_year_is_reported(microplex, monkeypatch, tmp_path, command):
    class Epoch(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(0, tz)

    monkeypatch.setattr(coverage, "datetime", Epoch)
    monkeypatch.chdir(tmp_path)
    result = microplex(*command)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the computer's clock says that 2012")


def test_text_that_is_not_ascii_is_understood_and_written_in_the_c_locale(backfilled):
    environment = {**os.environ, **variables(backfilled.folder)}
    in_c = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [*COMMAND[:-3], "query", "select 'é' as x", "--format"]
    for kind, expected in (
        ("csv", "x\né\n"),
        ("json", '[\n {\n  "x": "é"\n }\n]\n'),
        ("table", "│ é       │"),
    ):
        result = subprocess.run(
            [*command, kind], env={**environment, **in_c}, capture_output=True, check=True
        )
        assert expected in result.stdout.decode()
    refused = subprocess.run(
        [*command[:-2], "select '日'", "--format", "csv"],
        env={**environment, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert refused.stderr == (
        "Error: the output has characters that latin-1 cannot represent: set PYTHONIOENCODING=utf-8, "
        "then run this again\n"
    )
