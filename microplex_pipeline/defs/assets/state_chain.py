"""What a state's replicates are made with, from the settings and files of a project."""

from __future__ import annotations

from functools import partial

import polars as pl

from microplex_pipeline.calibration.targets.state_targets import table_of_targets
from microplex_pipeline.defs.assets.target_inputs import place_of, pooled_totals, survey_columns
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.replicates import Chain
from microplex_pipeline.survey import amount_growth
from microplex_pipeline.synthesis import Prior, SynthesizedCompositions


def chain_of(
    data: DataFolder,
    parameters: Parameters,
    survey: pl.DataFrame,
    prior: Prior,
    completion: Prior,
    tilt: pl.DataFrame,
    compositions: SynthesizedCompositions | None = None,
) -> Chain:
    """Return the chain of the state and year of survey records.

    Parameters
    ----------
    survey : canonical records of one state and year.
    prior, completion : the national models of the year: of amounts, and of the columns drawn after them.
    tilt : of the year, from `national_tilt`.
    compositions : the national model of compositions; None to draw surveyed households.
    """
    schema, sources = data.survey_schema, data.target_sources
    state, year = survey[schema.state][0], int(survey[schema.year][0])
    surveyed = int(survey["survey_year"][0])
    return Chain(
        schema,
        prior,
        completion,
        tilt,
        parameters.margins.model_dump(),
        parameters.fine_tuning,
        parameters.completion.fine_tuning,
        parameters.population.number(survey[schema.household].n_unique()),
        amount_growth(schema, data.path, surveyed, year),
        sources,
        partial(
            table_of_targets,
            sources=sources,
            place=place_of(data, state, year),
            columns=survey_columns(data, survey),
            pooled=pooled_totals(data, state, year),
        ),
        parameters.calibration.bounds,
        compositions,
    )
