"""The backfill command on real partitions: what is built, what is skipped, what changes rebuild."""

import re
import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml
from click.testing import CliRunner

from microplex_pipeline.cli import main
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.assets import national_survey
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.backfill import _definitions
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.execution.runs import run_job
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline_tests.conftest import BRIEF, variables


@pytest.fixture(scope="module")
def project(tmp_path_factory, backfilled):
    """A copy of the project whose data and settings may be changed."""
    return shutil.copytree(backfilled.folder, tmp_path_factory.mktemp("changing") / "project")


@pytest.fixture
def run(project, monkeypatch):
    for name, value in variables(project).items():
        monkeypatch.setenv(name, value)

    def backfill(*options):
        _definitions.cache_clear()  # as in a new process
        return CliRunner().invoke(main, ["backfill", "--jobs", "1", *options])

    yield backfill
    _definitions.cache_clear()


def test_a_backfill_builds_everything_and_later_only_what_changed(run, project, backfilled):
    nation = [f"national_{n}" for n in ("survey", "prior", "completion", "compositions", "tilt")]
    assert f"[0/2]  2014      {', '.join(nation)} in" in backfilled.output
    assert _steps_of_nation(project) == [{asset} for asset in sorted(nation)]  # a run for each
    assert "RI 2014   21 assets" in backfilled.output
    assert "VT 2014   21 assets" in backfilled.output

    again = run("--states", "RI,VT", "--year", "2014")
    assert again.output.count("up to date") == 2

    file = project / "data" / "targets" / "bundled_state_population_2010_2019.csv"
    table = pl.read_csv(file, infer_schema=False)
    rhode_island = (pl.col("state") == "RI") & (pl.col("year") == "2014")
    table.with_columns(
        value=pl.when(rhode_island).then(pl.lit("1100000")).otherwise("value")
    ).write_csv(file)
    after = run("--states", "RI,VT", "--year", "2014")
    assert "RI 2014   11 assets" in after.output  # targets, weights, counties, seven reports
    assert "VT 2014   up to date" in after.output

    settings = yaml.safe_load((project / "microplex.yaml").read_text())
    settings["parameters"]["calibration"] = {"bounds": [0.05, 20.0]}
    (project / "microplex.yaml").write_text(yaml.safe_dump(settings))
    bounded = run("--states", "VT", "--year", "2014")
    # weights, counties, persons, six reports; not survey, models, records, targets
    assert "VT 2014   9 assets" in bounded.output

    rest = run()  # partitions that are built and out of date, and no other state
    assert rest.exit_code == 0, rest.output
    assert "RI 2014   9 assets" in rest.output
    assert "2 partitions in" in rest.output


def test_one_states_failure_affects_no_other_and_it_is_retried_alone(run, project):
    run("--states", "RI,VT", "--year", "2014")
    file = project / "data" / "targets" / "bundled_state_population_2010_2019.csv"
    good = file.read_text()
    table = pl.read_csv(file, infer_schema=False)
    vermont = (pl.col("state") == "VT") & (pl.col("year") == "2014")
    table.with_columns(value=pl.when(vermont).then(pl.lit("-5")).otherwise("value")).write_csv(
        file
    )
    failed = run("--states", "VT,RI", "--year", "2014")
    assert failed.exit_code == 1
    assert "VT 2014   failed: targets:" in failed.output
    assert "RI 2014   up to date" in failed.output
    file.write_text(good)
    corrected = run("--states", "VT,RI", "--year", "2014")
    assert corrected.exit_code == 0
    assert corrected.output.count("up to date") >= 1


def ten_times(file, **where):
    """Multiply figures of a file by ten, as by a typing mistake; return the file's former contents."""
    good = file.read_text()
    rows = pl.all_horizontal(pl.col(column) == value for column, value in where.items())
    figure = pl.col("value").cast(pl.Float64)
    pl.read_csv(file, infer_schema=False).with_columns(
        value=pl.when(rows).then(figure * 10).otherwise(figure)
    ).write_csv(file)
    return good


def test_a_total_ten_times_too_large_stops_every_attempt(run, project):
    run("--states", "RI", "--year", "2014")
    file = project / "data" / "targets" / "bundled_state_population_2010_2019.csv"
    good = ten_times(file, state="RI", year="2014")
    for _ in range(2):  # the second time the targets are stored, but must not be used unchecked
        stopped = run("--states", "RI", "--year", "2014")
        assert stopped.exit_code == 1
        assert "RI 2014   failed: targets_totals_plausible: tax_unit sum n_persons" in (
            stopped.output
        )
        assert "The ratio may be at most 1.25 either way" in stopped.output
        assert "raise checks.max_total_ratio" in stopped.output
        assert "RI 2014   warning: parts_plausible: household count" in stopped.output
        assert re.search(r"; and \d+ more\. The ratio may be at most 3 either way", stopped.output)
    assert "targets_totals_plausible: tax_unit sum" in CliRunner().invoke(main, ["status"]).output
    file.write_text(good)
    assert run("--states", "RI", "--year", "2014").exit_code == 0


def test_a_subtotal_ten_times_too_large_gives_a_warning(run, project):
    file = project / "data" / "targets" / "bundled_state_household_income_2013.csv"
    good = ten_times(file, state="RI", domain="household_income:10000-14999")
    # the total grows, too, since a subtotal that contradicts its total is refused
    table = pl.read_csv(file, infer_schema=False)
    of_state = (pl.col("state") == "RI") & (pl.col("variable") == "households")
    parts = table.filter(of_state, pl.col("domain") != "all")["value"].cast(pl.Float64).sum()
    total = pl.when(of_state & (pl.col("domain") == "all")).then(pl.lit(str(parts)))
    table.with_columns(total.otherwise("value").alias("value")).write_csv(file)
    result = run("--states", "RI", "--year", "2014")
    assert result.exit_code == 0, result.output
    assert "RI 2014   warning: parts_plausible: household count households" in result.output
    assert "1 partition in" in result.output
    file.write_text(good)


def test_a_failed_non_blocking_check_is_reported_with_exit_code_1(run, project):
    settings = yaml.safe_load((project / "microplex.yaml").read_text())
    exacting = {**settings["parameters"], "checks": {"target_tolerance": 1e-18}}
    (project / "microplex.yaml").write_text(yaml.safe_dump({"parameters": exacting}))
    result = run("--states", "RI", "--year", "2014")
    assert result.exit_code == 1
    assert "RI 2014   check failed: targets_met:" in result.output
    assert "0 failed, 1 built with failed checks" in result.output
    status = CliRunner().invoke(main, ["status"]).output
    assert "target_report_targets_met" in status
    (project / "microplex.yaml").write_text(yaml.safe_dump(settings))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--states", "RI,XX", "--year", "2014"], "'XX' is not a state"),
        (["--states", "RI", "--year", "1990"], "'1990' is not among"),
        (["--states", "RI", "--year", "soon"], "'soon' is not a year"),
        (["--states", "RI", "--year", "\u00b2"], "is not a year"),
        (["--states", "RI", "--year", "2014-2012"], "'2014-2012' is not a range"),
        (["--states", "RI", "--year", "2012-999999999"], "'999999999' is not among"),
        (["--states", "RI"], "give the years of these states"),
        (["--states", "RI", "--year", "2014", "--jobs", "0"], "give at least one process"),
    ],
)
def test_invalid_options_are_refused(run, options, message):
    result = CliRunner().invoke(main, ["backfill", *options])
    assert result.exit_code == 2
    assert message in result.output


def test_checks_are_asked_again_when_a_limit_changes(run, project, monkeypatch):
    monkeypatch.setenv("MICROPLEX_PARAMETERS__CHECKS__MIN_RECORDS", "100000")
    stricter = run("--states", "RI", "--year", "2014")
    assert stricter.exit_code == 1
    assert "enough_records: 1204 records; training needs at least 100000" in stricter.output
    assert "1 failed" in stricter.output


def test_what_was_built_into_another_warehouse_with_the_same_history_counts_for_nothing(
    backfilled, tmp_path
):
    """Another seed, first tried in a scratch warehouse, leaves this warehouse out of date."""
    folder = backfilled.folder
    tried = Settings(
        data=folder / "data",
        warehouse=Path(shutil.copy(folder / "w.duckdb", tmp_path / "scratch.duckdb")),
        parameters=BRIEF.model_copy(update={"seed": 1}),
    )
    own = tried.model_copy(update={"warehouse": folder / "w.duckdb"})
    nation = Partition(None, 2014)
    shutil.copytree(folder / "home", tmp_path / "home")
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        definitions = build_definitions(tried)
        assets = ["national_survey"]
        assert run_job(tried, instance, definitions, "build_prior", nation, assets=assets).success
    stale = [
        Plan(build_definitions(settings), settings).stale([national_survey], nation)
        for settings in (tried, own)
    ]
    assert stale == [{}, {"national_survey": ["parameters.seed"]}]


def _steps_of_nation(project):
    """The steps of each of the runs that built the national models of the fixture."""
    with dg.DagsterInstance.from_config(str(project / "home")) as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="build_prior"))
        steps = [{s.step_key.split("__")[-1] for s in instance.get_run_step_stats(run.run_id)}
                 for run in runs]  # fmt: skip
    return sorted(
        ({s for s in of_run if s.startswith("national")} for of_run in steps), key=sorted
    )
