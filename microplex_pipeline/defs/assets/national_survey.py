"""A national sample of survey records of one year."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import stored_records, year_asset
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import national_sample
from microplex_pipeline.survey.columns import HELD_OUT


@year_asset(
    "survey",
    "polars",
    code_version="3",
    reads=["seed", "sample"],
    files=["survey_files", "growth_factors"],
)
def national_survey(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per tax unit of a random national sample of one year's households.

    Some households are held out of every model.

    The national models are trained on the others. Whatever a state's synthetic records have in common with
    held-out records of other states is due to chance; this is the yardstick for what they have in common
    with the state's respondents.
    """
    wanted = parameters.sample
    sample = national_sample(
        data.survey_schema,
        data.path,
        STATES,
        int(context.partition_key),
        wanted.records + wanted.held_out,
        parameters.seed,
    )
    # households stay together
    row, household = pl.int_range(pl.len()), data.survey_schema.household
    sample = sample.with_columns((row < wanted.held_out).alias("held_out"))
    sample = sample.with_columns(pl.col("held_out").first().over(household))
    return stored_records(
        sample,
        data.column_descriptions | HELD_OUT,
        {
            "held_out_records": int(sample["held_out"].sum()),
            "seed": parameters.seed,
            "parameters": wanted.model_dump(),
        },
    )
