"""How close the synthetic joint distributions are to the survey's."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import (
    metadata_table,
    state_year_asset,
    stored_records,
)
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.columns import JOINT_COLUMNS
from microplex_pipeline.evaluation.joint_fidelity import joint_fidelity


@state_year_asset("evaluation", "sklearn", code_version="3", reads=["seed"])
def joint_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    synthetic_population: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per measure of joint distributions: its value, and what halves of the survey give.

    Correlations of amounts and of who has them, coverage of the surveyed records, and a classifier that
    tries to tell survey from synthetic records; before calibration, with design weights.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    table = joint_fidelity(
        survey,
        synthetic_population,
        schema.target_columns,
        schema.condition_columns,
        schema.weight,
        schema.household,
        parameters.seed,
    )
    return stored_records(
        table.select(pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()),
        JOINT_COLUMNS,
        {
            "beside_sampling": metadata_table(
                table.select("measure", "value", "by_sampling", "limit", "beyond")
            ),
            "seed": parameters.seed,
        },
    )
