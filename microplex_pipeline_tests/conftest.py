"""Shared data of the tests: the bundled survey, small real cases of it, temporary warehouses."""

from pathlib import Path

import polars as pl
import pytest

from microplex_pipeline.settings import PROJECT
from microplex_pipeline.survey import (
    SurveySchema,
    load_schema,
    model_frame,
    prepare_survey,
    read_survey,
)

DATA = PROJECT / "data"


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
