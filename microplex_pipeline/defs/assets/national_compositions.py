"""The national model of who lives with whom, if compositions of households are synthesized."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import year_asset
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.national_compositions import NationalCompositions
from microplex_pipeline.population.synthetic_compositions import compositions_model


@year_asset(
    "models",
    "pytorch",
    code_version="1",
    reads=["seed", "prior", "population"],
    pool="training",
)
def national_compositions(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    national_survey: pl.DataFrame,
) -> dg.MaterializeResult[NationalCompositions]:
    """One row: the nation's model of households' compositions, which every state's is fine-tuned from.

    How many tax units live together, and who is in each of them, given the units before it. With
    `population.compositions: resampled` the row says that there is no model, since none is needed.
    """
    schema = data.survey_schema
    survey = national_survey.filter(~pl.col("held_out"))
    model = None
    if parameters.population.compositions == "synthesized":
        model = compositions_model(survey, schema, parameters.seed, parameters.prior)
    return dg.MaterializeResult(
        value=NationalCompositions(model),
        metadata={
            "compositions": parameters.population.compositions,
            "records": survey.height if model else 0,
            "seed": parameters.seed,
        },
    )
