"""The national model of the columns that are drawn after the amounts."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import year_asset
from microplex_pipeline.defs.assets.training import national_models
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.training import completion_synthesizer, later_frame
from microplex_pipeline.synthesis import Prior


@year_asset(
    "models", "pytorch", code_version="8", reads=["seed", "prior", "completion"], pool="training"
)
def national_completion(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    national_survey: pl.DataFrame,
) -> dg.MaterializeResult[Prior]:
    """One row: the nation's model of deductions and benefits in kind, drawn after the amounts.

    Fitted to records of national_survey that are not held out, given the conditions, the state and the
    amounts that the survey's schema names. Every state's `completion` starts from it.
    """
    schema = data.survey_schema
    # the sample is in random order
    survey = national_survey.filter(~pl.col("held_out")).head(parameters.completion.records)
    synthesizer = completion_synthesizer(schema, parameters.prior, parameters.seed).fit(
        later_frame(survey, schema), schema.weight, progress=context.log.info
    )
    return national_models(synthesizer, survey, parameters)
