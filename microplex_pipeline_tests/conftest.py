"""Shared data of the tests: the bundled survey, small real cases of it, temporary warehouses."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.parameters import (
    Parameters,
    PopulationParameters,
    PriorParameters,
    SampleParameters,
)
from microplex_pipeline.settings import PROJECT, Settings
from microplex_pipeline.survey import (
    SurveySchema,
    load_schema,
    model_frame,
    prepare_survey,
    read_survey,
)
from microplex_pipeline.synthesis import FineTuningSettings

DATA = PROJECT / "data"
# enough to go through every step
BRIEF = Parameters(
    sample=SampleParameters(records=3000, held_out=2000),
    prior=PriorParameters(epochs=2, min_steps=20),
    fine_tuning=FineTuningSettings(epochs=2),
    population=PopulationParameters(households=1500),
)


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def schema() -> SurveySchema:
    return load_schema(DATA / "surveys" / "cps_tax_units.yaml")


@pytest.fixture(scope="session")
def rhode_island(schema) -> pl.DataFrame:
    """Canonical survey of Rhode Island 2014: 1,204 tax units in 865 households."""
    return prepare_survey(read_survey(schema, DATA, "RI", 2014), schema, DATA)


@pytest.fixture(scope="session")
def records(rhode_island, schema) -> pl.DataFrame:
    """Rhode Island 2014 as the synthesizer sees it."""
    return model_frame(rhode_island, schema)


@pytest.fixture(scope="session")
def prior_warehouse(tmp_path_factory) -> Path:
    """A warehouse that holds the national prior of 2014, trained briefly on few records."""
    warehouse = tmp_path_factory.mktemp("prior") / "w.duckdb"
    result = (
        build_definitions(Settings(warehouse=warehouse, parameters=BRIEF))
        .resolve_job_def("build_prior")
        .execute_in_process(partition_key="2014")
    )
    assert result.success
    return warehouse


@pytest.fixture
def warehouse_with_prior(prior_warehouse, tmp_path) -> Path:
    """A copy of it that a test may write to."""
    return Path(shutil.copy(prior_warehouse, tmp_path / "w.duckdb"))
