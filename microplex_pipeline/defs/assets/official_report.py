"""Official figures beside the file's own."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.state_targets import given_targets
from microplex_pipeline.calibration.targets.table import KEY
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.assets.target_inputs import (
    place_of,
    pooled_totals,
    survey_columns,
    with_target_columns,
)
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.columns import OFFICIAL_COLUMNS
from microplex_pipeline.evaluation.official import beside_official


@state_year_asset(
    "evaluation", "polars", code_version="2", files=["target_files", "growth_factors"]
)
def official_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    survey: pl.DataFrame,
    calibrated_population: pl.DataFrame,
    targets: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per official total: published targets of the whole state, and figures that are no targets.

    A figure that is not a target, such as the number of households, is the only kind that can show that
    the file is wrong: targets are met because the weights are fitted to them.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    given = given_targets(
        survey,
        data.target_sources,
        place_of(data, state, year),
        survey_columns(data, survey),
        pooled_totals(data, state, year),
    )
    named = pl.concat([targets.select(KEY), given.compared.select(KEY)])
    table = beside_official(
        with_target_columns(data, calibrated_population, named),
        targets,
        given.compared,
        schema.weight,
        schema.household,
    )
    untargeted = table.filter(~pl.col("targeted"))
    return stored_records(
        table.select(pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()),
        OFFICIAL_COLUMNS,
        {
            "figures": table.height,
            "not_targeted": untargeted.height,
            "largest_gap": float(untargeted["relative_error"].abs().max() or 0),  # type: ignore[arg-type]
        },
    )
