"""The national models, from which small states borrow strength."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import year_asset
from microplex_pipeline.defs.assets.training import national_models
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.training import synthesizer_of, unit_frame
from microplex_pipeline.synthesis import Prior


@year_asset("models", "pytorch", code_version="8", reads=["seed", "prior"], pool="training")
def national_prior(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    national_survey: pl.DataFrame,
) -> dg.MaterializeResult[Prior]:
    """One row: the national models of a year, from which every state's models start. Build it first.

    Transformer, zero model and flow, as for a state, fitted to the records of national_survey that are not
    held out. A state has a few thousand respondents, the nation a hundred thousand. States shrink their
    margins towards the national ones and fine-tune the national networks instead of training their own.
    """
    schema = data.survey_schema
    survey = national_survey.filter(~pl.col("held_out"))
    synthesizer = synthesizer_of(schema, parameters.prior, parameters.seed).fit(
        unit_frame(survey, schema), schema.weight, progress=context.log.info
    )
    return national_models(synthesizer, survey, parameters)
