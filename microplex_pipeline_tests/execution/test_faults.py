"""Damaged files and rows give one clear message and leave everything else unchanged."""

import shutil
import threading

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner

from microplex_pipeline.cli import main
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.backfill import Task, _definitions, build_partition
from microplex_pipeline.execution.processes import partition_lock
from microplex_pipeline.warehouse.failures import failures_file, last_failures, write_failure
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline_tests.conftest import EXACTING, variables


@pytest.fixture
def project(backfilled, tmp_path, monkeypatch):
    """A copy of the project with Rhode Island and Vermont 2014, which commands use."""
    project = shutil.copytree(backfilled.folder, tmp_path / "project")
    for name, value in variables(project).items():
        monkeypatch.setenv(name, value)
    _definitions.cache_clear()
    yield project
    _definitions.cache_clear()


def microplex(*words):
    return CliRunner().invoke(main, words)


def contents(project, tables):
    return [query(project / "w.duckdb", f"from {table} order by all") for table in tables]


@pytest.mark.parametrize(
    "command",
    [
        ["build", "RI", "2014"],
        ["backfill", "--states", "RI", "--year", "2014", "--jobs", "1"],
        ["status"],
        ["query", "from survey.survey"],
        ["export", "RI", "2014", "--format", "csv", "--to", "files"],
        ["report", "RI", "2014"],
    ],
)
def test_every_command_says_that_the_warehouse_is_damaged(project, command):
    warehouse = project / "w.duckdb"
    damaged = warehouse.read_bytes()[:500_000]
    warehouse.write_bytes(damaged)
    result = microplex(*command)
    assert result.exit_code == 1
    assert result.output.count("the warehouse w.duckdb cannot be opened or read") == 1
    assert "restore a copy" in result.output
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert warehouse.read_bytes() == damaged


def test_a_damaged_history_is_reported(project):
    for file in (project / "home").rglob("runs.db*"):
        file.write_bytes(b"not a database" * 1000)
    result = microplex("backfill", "--states", "RI", "--year", "2014")
    assert result.exit_code == 1
    assert "Dagster's history in" in result.output
    assert "file is not a database" in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("table", "key", "again"),
    [
        ("flow", "RI 2014", "microplex build RI 2014"),
        ("national_prior", "2014", "microplex backfill --force"),
    ],
)
@pytest.mark.parametrize("damage", ["weights[1:1000]::blob", "''::blob"])
def test_a_damaged_model_is_reported_with_what_to_do(project, table, key, again, damage):
    rest = ["models.zero_model", "synthesis.synthetic_population"]
    before = contents(project, rest)
    with duckdb.connect(str(project / "w.duckdb")) as connection:
        connection.execute(
            f"update models.{table} set weights = {damage} where state in ('RI', 'US')"
        )
    used_by = "synthetic_population" if table == "flow" else "transformer"
    job = _definitions().resolve_job_def("build_state")

    def run(partition):
        with dg.DagsterInstance.get() as instance:
            return job.execute_in_process(
                instance=instance,
                partition_key=partition,
                asset_selection=[dg.AssetKey(used_by)],
                raise_on_error=False,
            )

    (step,) = [e for e in run("RI|2014").all_events if e.is_step_failure]
    message = step.step_failure_data.user_failure_data.description
    assert f"models.{table} of {key}: the stored " in message
    assert "is damaged (" in message
    assert message.endswith(f"Materialize {table} of {key} again, or run {again}")
    for one, other in zip(before, contents(project, rest), strict=True):
        assert one.equals(other)
    assert table != "flow" or run("VT|2014").success


def test_a_truncated_survey_stops_the_build_with_one_message_and_one_listed_failure(project):
    tables = ["survey.raw_survey", "survey.national_survey", "models.flow"]
    before = contents(project, tables)
    survey = project / "data" / "cps_tax_units.parquet"
    survey.write_bytes(survey.read_bytes()[:1_000_000])
    result = microplex("backfill", "--states", "RI", "--year", "2014", "--jobs", "1", "--force")
    assert result.exit_code == 1
    damaged = "survey file cps_tax_units.parquet is damaged or truncated"
    assert f"RI 2014   failed: the year's national models failed: national_survey: {damaged}" in (
        result.output
    )
    assert "Traceback" not in result.output
    for one, other in zip(before, contents(project, tables), strict=True):
        assert one.equals(other)

    (failure,) = last_failures(project / "w.duckdb", 9)
    assert (failure["partition"], failure["step"]) == ("2014", "national_survey")
    assert failure["why"].startswith(damaged)
    lines = failures_file(project / "w.duckdb").read_text()
    write_failure(project / "w.duckdb", failure["run"], "2014", failure["step"], "seen again")
    assert failures_file(project / "w.duckdb").read_text() == lines


def test_a_partition_being_built_by_another_process_is_not_built_twice(project):
    outcomes = []
    with dg.DagsterInstance.get() as instance:
        other = partition_lock(instance, Partition("RI", 2014))
        other.acquire()
        task = Task("build_state", Partition("RI", 2014), "label", force=False)
        waiting = threading.Thread(target=lambda: outcomes.append(build_partition(task)))
        waiting.start()
        waiting.join(timeout=1)
        assert waiting.is_alive()
        other.release()
        waiting.join()
    (outcome,) = outcomes
    assert outcome.built == []
    assert outcome.failure is None


def test_a_killed_run_of_the_ui_is_listed_once(project):
    definitions = _definitions()
    sensor = definitions.get_sensor_def("failures_written_down")
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(
            definitions.resolve_job_def("build_state"), tags={"dagster/partition": "RI|2014"}
        )
        event = instance.report_run_failed(run, "terminated by signal 9")
        for _ in range(2):
            context = dg.build_run_status_sensor_context(
                sensor_name=sensor.name,
                dagster_instance=instance,
                dagster_run=run,
                dagster_event=event,
                resources=definitions.resources,
            ).for_run_failure()
            sensor(context)
    (failure,) = last_failures(project / "w.duckdb", 9)
    assert (failure["partition"], failure["step"]) == ("RI|2014", "")
    assert failure["why"] == "terminated by signal 9"


def test_a_failed_check_in_a_run_of_the_ui_is_listed_once(project):
    settings = Settings(warehouse=project / "w.duckdb", data=project / "data", parameters=EXACTING)
    definitions = build_definitions(settings)
    sensor = definitions.get_sensor_def("failed_checks_written_down")
    with dg.DagsterInstance.get() as instance:
        result = definitions.resolve_job_def("recalibrate").execute_in_process(
            instance=instance,
            partition_key="RI|2014",
            asset_selection=[dg.AssetKey("target_report")],
        )
        for _ in range(2):
            context = dg.build_run_status_sensor_context(
                sensor_name=sensor.name,
                dagster_instance=instance,
                dagster_run=result.dagster_run,
                dagster_event=result.all_events[-1],
                resources=definitions.resources,
            )
            sensor(context)
    (failure,) = last_failures(project / "w.duckdb", 9)
    assert failure["partition"] == "RI|2014"
    assert failure["step"] == "target_report_targets_met"
    assert "targets are missed by more than" in failure["why"]
