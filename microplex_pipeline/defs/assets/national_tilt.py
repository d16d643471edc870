"""What takes the national models' bias from the records that states draw."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.exponential_tilt import TILT_COLUMNS
from microplex_pipeline.defs.assets.state_year import stored_records, year_asset
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.national_tilt import national_tilt as tilt_of
from microplex_pipeline.survey import amount_growth
from microplex_pipeline.synthesis import Prior


@year_asset(
    "models",
    "pytorch",
    code_version="3",
    reads=["seed"],
    files=["growth_factors", "modelled_totals"],
)
def national_tilt(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    national_survey: pl.DataFrame,
    national_prior: Prior,
    national_completion: Prior,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per modelled total: the coefficient that removes the national models' bias from it.

    Households drawn from the national models are weighted so that they have the totals of national_survey.
    Every state's synthetic records get the same tilt of their weights, since their models start from the
    national ones.
    """
    survey = national_survey.filter(~pl.col("held_out"))
    year, surveyed = int(context.partition_key), int(survey["survey_year"][0])
    tilt = tilt_of(
        survey,
        national_prior,
        national_completion,
        data.survey_schema,
        data.target_sources,
        parameters.seed,
        amount_growth(data.survey_schema, data.path, surveyed, year),
    )
    return stored_records(
        tilt.select(pl.lit("US").alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()),
        TILT_COLUMNS,
        {"totals": tilt.height, "seed": parameters.seed},
    )
