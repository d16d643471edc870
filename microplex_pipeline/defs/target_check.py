"""Checking the targets of a state and year from the files of the data folder, without a warehouse."""

from __future__ import annotations

from microplex_pipeline.calibration.targets.state_targets import Place, SurveyColumns
from microplex_pipeline.calibration.targets.target_check import StateCheck, check_targets
from microplex_pipeline.defs.parameters import CheckParameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import aged_title, pooled_total, prepare_survey, read_survey

__all__ = ["StateCheck", "check_state"]


def check_state(data: DataFolder, state: str, year: int, limits: CheckParameters) -> StateCheck:
    """Return what is found about the targets of a state and year.

    Raises
    ------
    SurveyError
        If the survey cannot be used.
    """
    schema = data.survey_schema
    survey = prepare_survey(read_survey(schema, data.path, state, year), schema, data.path)
    title = aged_title(schema, data.path, int(survey["survey_year"][0]), year)
    sources = data.target_sources
    pooled = {
        p.name: pooled_total(schema, data.path, state, year, p.variable, p.level_of)
        for p in sources.pooled
    }
    return check_targets(
        survey,
        sources,
        Place(data.targets, data.population, state, year),
        SurveyColumns(schema.weight, schema.household, schema.persons, title),
        pooled,
        limits.max_target_z,
    )
