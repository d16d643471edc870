"""All targets of one state and year: the published ones, and those modelled on the survey."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from microplex_pipeline.calibration.grossed_up_survey import (
    entity_counts,
    gross_up_to_persons,
    rake_to_published,
)
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.published import published_persons, published_targets
from microplex_pipeline.calibration.targets.sources import TargetSources


class TargetFiles(NamedTuple):
    """Where the published figures of a state and year are.

    Attributes
    ----------
    sources : which figures to take from which files.
    folder : folder of the sources' files.
    state, year : state code and calendar year.
    population : file of projected population by state and year.
    """

    sources: TargetSources
    folder: Path
    state: str
    year: int
    population: Path


class SurveyColumns(NamedTuple):
    """Names of the survey's columns that targets need."""

    weight: str
    household_id: str
    persons: str


def state_targets(
    survey: pl.DataFrame, files: TargetFiles, columns: SurveyColumns, title: str
) -> tuple[pl.DataFrame, float]:
    """Return the targets of a state and year, and the factor to which persons were grossed up.

    Modelled targets are estimated from the survey after it was grossed up to the published persons and
    raked to the published figures.

    Parameters
    ----------
    survey : canonical records.
    title : name of the survey, for the column source.

    Raises
    ------
    CalibrationError
        If a figure is missing or unusable, or the survey cannot meet the published figures.
    """
    keys = {"weight": columns.weight, "household_id": columns.household_id}
    grossed_up, factor = gross_up_to_persons(
        survey, published_persons(*files), persons_column=columns.persons, **keys
    )
    published = published_targets(*files, entity_counts(grossed_up, **keys))
    raked = rake_to_published(grossed_up, published, **keys)
    modelled = modelled_targets(raked, files.sources.modelled, columns.weight, title)
    return pl.concat([published, modelled]).select(
        pl.lit(files.state).alias("state"), pl.lit(files.year, pl.Int32).alias("year"), pl.all()
    ), factor
