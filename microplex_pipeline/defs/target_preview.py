"""Checking the targets of a state and year from the files of the data folder, without a warehouse."""

from __future__ import annotations

from microplex_pipeline.calibration.targets.preview import StateCheck, check_targets
from microplex_pipeline.defs.assets.target_inputs import place_of, pooled_totals, survey_columns
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import draw_ages, prepare_survey, read_survey

__all__ = ["StateCheck", "check_state"]


def check_state(data: DataFolder, state: str, year: int, parameters: Parameters) -> StateCheck:
    """Return what is found about the targets of a state and year.

    Raises
    ------
    SurveyError
        If the survey cannot be used.
    """
    schema = data.survey_schema
    prepared = prepare_survey(read_survey(schema, data.path, state, year), schema, data.path)
    survey = draw_ages(prepared, schema, parameters.seed)
    return check_targets(
        survey,
        data.target_sources,
        place_of(data, state, year),
        survey_columns(data, survey),
        pooled_totals(data, state, year),
        parameters.checks.max_target_z,
    )
