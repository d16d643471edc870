"""What targets are made from beside the survey's records, for the assets that make them."""

from functools import partial

import polars as pl

from microplex_pipeline.calibration.targets.derived import with_derived
from microplex_pipeline.calibration.targets.state_targets import Place, SurveyColumns
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import aged_title, growth_of_item, pooled_total


def place_of(data: DataFolder, state: str, year: int) -> Place:
    """Return the place, year and files of targets."""
    # a method of `data` could not be sent to other processes: it holds what was read before
    growth = partial(growth_of_item, data.survey_schema, data.path)
    return Place(data.targets, data.population, state, year, growth)


def survey_columns(data: DataFolder, survey: pl.DataFrame) -> SurveyColumns:
    """Return the columns of survey records that targets need, and the survey's title."""
    schema = data.survey_schema
    surveyed, year = int(survey["survey_year"][0]), int(survey[schema.year][0])
    title = aged_title(schema, data.path, surveyed, year)
    return SurveyColumns(schema.weight, schema.household, schema.persons, title)


def pooled_totals(data: DataFolder, state: str, year: int) -> dict[str, float]:
    """Return the totals of the sources of pooled targets, by name."""
    schema = data.survey_schema
    return {
        source.name: pooled_total(schema, data.path, state, year, source.variable, source.level_of)
        for source in data.target_sources.pooled
    }


def with_target_columns(
    data: DataFolder, records: pl.DataFrame, targets: pl.DataFrame
) -> pl.DataFrame:
    """Return records with the derived columns that targets name."""
    schema = data.survey_schema
    keys = {"year": schema.year, "household_id": schema.household}
    return with_derived(records, data.target_sources, targets, **keys)
