"""microplex estimate: errors of a state's records, from its replicates."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from microplex_pipeline.cli import main
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.parameters import ReplicateParameters
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.evaluation.inference import estimate
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline_tests.conftest import BRIEF, variables

RI = ["--states", "RI", "--year", "2014"]


@pytest.fixture(scope="module")
def project(backfilled, tmp_path_factory):
    """The environment of a project whose Rhode Island 2014 has three replicates."""
    folder = tmp_path_factory.mktemp("errors") / "project"
    shutil.copytree(backfilled.folder, folder)
    parameters = BRIEF.model_copy(update={"replicates": ReplicateParameters(number=3)})
    settings = Settings(data=folder / "data", warehouse=folder / "w.duckdb", parameters=parameters)
    job = build_definitions(settings).resolve_job_def("build_replicates")
    assert job.execute_in_process(partition_key=Partition("RI", 2014).key).success
    return variables(folder)


@pytest.fixture
def microplex(project):
    return lambda *words: CliRunner(env=project).invoke(main, [str(word) for word in words])


@pytest.fixture
def tables(project):
    """Rhode Island's records and their replicates."""
    warehouse = project["MICROPLEX_WAREHOUSE"]
    return [
        query(Path(warehouse), f"from calibration.{name} where state = 'RI'")
        for name in ("calibrated_population", "replicates")
    ]


def test_replicates_have_the_files_columns_and_size(tables):
    records, replicates = tables
    assert {*replicates.columns} == {*records.columns, "replicate"} - {"design_weight"}
    sizes = (
        replicates.group_by("replicate").agg(pl.col("household_id").n_unique()).sort("replicate")
    )
    assert sizes.rows() == [(1, 1500), (2, 1500), (3, 1500)]


def test_the_command_gives_what_the_function_gives(microplex, tables):
    persons = pl.col("weight") * pl.col("n_persons")
    cases = {
        ("total", "wages"): estimate(*tables, "total", "wages"),
        ("mean", "wages", "--where", "age_head < 40 -- young"): estimate(
            *tables, "mean", "wages", where=pl.col("age_head") < 40
        ),
        ("share", "household_income < 20000", "--of", "persons"): estimate(
            *tables, "share", pl.col("household_income") < 20_000, weight=persons
        ),
        ("quantile", "household_income", "--q", "0.9", "--of", "households"): estimate(
            *tables, "quantile", "household_income", q=0.9, where=pl.col("unit_number") == 1
        ),
    }
    for words, expected in cases.items():
        result = microplex("estimate", *words, *RI, "--format", "json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        for key, name in {"estimate": "value", "standard_error": "standard_error"}.items():
            assert found[key] == pytest.approx(getattr(expected, name), rel=1e-9)
        assert len(found["replicates"]) == 3


def test_the_table_of_estimates_has_the_same_errors(microplex, project):
    table = query(Path(project["MICROPLEX_WAREHOUSE"]), "from evaluation.estimates")
    row = table.row(
        by_predicate=(pl.col("statistic") == "total") & (pl.col("variable") == "wages"), named=True
    )
    found = json.loads(microplex("estimate", "total", "wages", *RI, "--format", "json").stdout)
    for name in ("estimate", "standard_error", "low", "high"):
        assert row[name] == pytest.approx(found[name])
    targets = table.filter(pl.col("statistic").str.starts_with("target"))
    persons = targets.filter(pl.col("variable") == "n_persons", pl.col("domain") == "all")
    assert persons["standard_error"].to_list() == [0]  # published: met in every replicate
    modelled = targets.filter(pl.col("variable") == "social_security")
    assert modelled["standard_error"][0] > 0.001 * modelled["estimate"][0]
    assert table.filter(pl.col("statistic") == "poverty rate")["estimate"].item() < 0.5


def test_a_difference_within_one_survey_is_paired(microplex):
    result = microplex("estimate", "total", "wages", *RI, "--minus", "2014")
    assert result.exit_code == 0, result.output
    assert "paired: both years are aged from the survey of 2014" in result.output
    assert result.stdout.splitlines()[1].split() == ["standard", "error", "0"]
    assert "out of date: built from earlier code, files or parameters" in result.stderr
    assert "microplex build STATE YEAR --replicates builds them again" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["total", "nosuch", *RI], 'Referenced column "nosuch" not found'),
        (["total", "wages", *RI, "--where", "true); drop table x; --"], "syntax error"),
        (["total", "wages) from survey.survey --", *RI], "syntax error"),
        (["mean", "wages", *RI, "--where", "age_head > 200"], "no record is in the domain"),
        (
            ["total", "wages", "--states", "RI,VT", "--year", "2014"],
            "VT 2014 has no replicates yet",
        ),
        (["quantile", "wages", *RI], "--q goes with quantile"),
        (["variance", "wages", *RI], "'variance' is not one of"),
    ],
)
def test_what_cannot_be_estimated_is_said(microplex, words, message):
    result = microplex("estimate", *words)
    assert result.exit_code in (1, 2)
    assert message in result.output


def test_status_says_which_states_have_errors_and_which_are_out_of_date(microplex):
    status = microplex("status", "--year", "2014").output
    # the settings ask for 40 replicates, the build was told to make three
    assert "standard errors out of date in 2014: RI\n  because of parameters.replicates" in status
    assert "microplex build RI 2014 --replicates makes them again, backfill does not" in status


def test_one_replicate_is_refused(microplex):
    result = microplex("build", "RI", "2014", "--replicates", "1")
    assert result.exit_code == 2
    assert "a standard error needs two or more" in result.output
