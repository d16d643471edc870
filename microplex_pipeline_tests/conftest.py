"""Fixtures shared by the tests: the bundled survey, small real cases of it, temporary warehouses."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import polars as pl
import pytest
import yaml
from click.testing import CliRunner
from filelock import FileLock
from hypothesis import settings as hypothesis_settings

from microplex_pipeline.cli import main
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.parameters import (
    CheckParameters,
    Parameters,
    PopulationParameters,
    PriorParameters,
    SampleParameters,
)
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.backfill import _definitions
from microplex_pipeline.survey import (
    SurveySchema,
    SurveyWords,
    draw_ages,
    load_schema,
    model_frame,
    prepare_survey,
    read_survey,
    survey_words,
)
from microplex_pipeline.synthesis import FineTuningSettings

# a first example imports scipy or torch, and a busy machine is slow: time says nothing about a property
hypothesis_settings.register_profile("tests", deadline=None)
hypothesis_settings.load_profile("tests")

CHECKOUT = Path(__file__).resolve().parents[1]
DATA = CHECKOUT / "data"
# parameters for short runs that still go through every step
BRIEF = Parameters(
    sample=SampleParameters(records=6000, held_out=2000),
    prior=PriorParameters(epochs=2, min_steps=20),
    fine_tuning=FineTuningSettings(epochs=2),
    population=PopulationParameters(households=1500),
)
# no weights meet targets this exactly, so the check must fail
EXACTING = BRIEF.model_copy(update={"checks": CheckParameters(target_tolerance=1e-18)})


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def schema() -> SurveySchema:
    return load_schema(DATA / "surveys" / "cps_tax_units.yaml")


@pytest.fixture(scope="session")
def words(schema) -> SurveyWords:
    return survey_words(schema, DATA)


@pytest.fixture(scope="session")
def rhode_island(schema) -> pl.DataFrame:
    """Canonical survey of Rhode Island 2014: 1,204 tax units in 865 households."""
    prepared = prepare_survey(read_survey(schema, DATA, "RI", 2014), schema, DATA)
    return draw_ages(prepared, schema, seed=0)


@pytest.fixture(scope="session")
def records(rhode_island, schema) -> pl.DataFrame:
    """Rhode Island 2014 as the synthesizer sees it, with the amount of the household."""
    return model_frame(rhode_island, schema).with_columns(rhode_island["snap"])


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a copy of a folder that only the first of several processes of tests makes."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made once" / name
    shared.mkdir(parents=True, exist_ok=True)
    complete = shared / "complete"
    with FileLock(f"{shared}.lock"):
        if not complete.exists():
            make(shared)
            complete.touch()
    return Path(shutil.copytree(shared, factory.mktemp("copies") / name))


@pytest.fixture(scope="session")
def prior_project(tmp_path_factory) -> Path:
    """A project with short training whose warehouse and history (home) have the national prior of 2014."""
    return made_once(tmp_path_factory, "prior", make_prior_project)


def make_prior_project(folder: Path) -> None:
    (folder / "home").mkdir()
    shutil.copyfile(CHECKOUT / "dagster.yaml", folder / "home" / "dagster.yaml")
    settings = {
        "data": str(DATA),
        "warehouse": "w.duckdb",
        "parameters": BRIEF.model_dump(mode="json"),
    }
    (folder / "microplex.yaml").write_text(yaml.safe_dump(settings))
    shutil.copyfile(CHECKOUT / "workspace.yaml", folder / "workspace.yaml")
    with dg.DagsterInstance.from_config(str(folder / "home")) as instance:
        result = (
            build_definitions(Settings(data=DATA, warehouse=folder / "w.duckdb", parameters=BRIEF))
            .resolve_job_def("build_prior")
            .execute_in_process(instance=instance, partition_key="2014")
        )
    assert result.success


@pytest.fixture
def project_with_prior(prior_project, tmp_path) -> Path:
    """A copy of `prior_project` that a test may change, in a folder with an unusual name."""
    return Path(shutil.copytree(prior_project, tmp_path / "a project #1 é"))


@pytest.fixture(scope="session")
def prior_warehouse(prior_project) -> Path:
    """A warehouse with the national prior of 2014, trained briefly on few records."""
    return prior_project / "w.duckdb"


@pytest.fixture
def warehouse_with_prior(prior_warehouse, tmp_path) -> Path:
    """A copy of `prior_warehouse` that a test may change."""
    return Path(shutil.copy(prior_warehouse, tmp_path / "w.duckdb"))


class Project(NamedTuple):
    """A project, and the output of the backfill that built it."""

    folder: Path
    output: str


def variables(folder: Path) -> dict[str, str]:
    """Return the environment variables with which commands use a project."""
    return {
        "MICROPLEX_CONFIG": str(folder / "microplex.yaml"),
        "MICROPLEX_DATA": str(folder / "data"),
        "MICROPLEX_WAREHOUSE": str(folder / "w.duckdb"),
        "DAGSTER_HOME": str(folder / "home"),
    }


@pytest.fixture(scope="session")
def backfilled(tmp_path_factory) -> Project:
    """Rhode Island and Vermont 2014, built from nothing with short training; tests must not change it."""
    folder = made_once(tmp_path_factory, "project", make_backfilled_project)
    return Project(folder, (folder / "output.txt").read_text())


def make_backfilled_project(folder: Path) -> None:
    shutil.copytree(DATA, folder / "data")
    (folder / "home").mkdir()
    shutil.copyfile(CHECKOUT / "dagster.yaml", folder / "home" / "dagster.yaml")
    settings = {"parameters": BRIEF.model_dump(mode="json")}
    (folder / "microplex.yaml").write_text(yaml.safe_dump(settings))
    shutil.copyfile(CHECKOUT / "workspace.yaml", folder / "workspace.yaml")
    _definitions.cache_clear()  # as in a new process
    options = [
        "--jobs",
        "2",
        "--states",
        "RI,VT",
        "--year",
        "2014",
    ]  # another process waits for it
    result = CliRunner(env=variables(folder)).invoke(main, ["backfill", *options])
    _definitions.cache_clear()
    assert result.exit_code == 0, result.output
    (folder / "output.txt").write_text(result.output)


def is_alive(pid: int) -> bool:
    """Return whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
