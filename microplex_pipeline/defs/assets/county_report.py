"""Each county's published figure, and what the county's weights achieve."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.published_areas import published_area_targets
from microplex_pipeline.defs.assets.state_year import (
    metadata_table,
    state_year_asset,
    stored_records,
)
from microplex_pipeline.defs.assets.target_inputs import with_target_columns
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.area_errors import area_errors
from microplex_pipeline.evaluation.columns import AREA_COLUMNS


@state_year_asset("evaluation", "polars", code_version="2", files=["county_files"])
def county_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    calibrated_population: pl.DataFrame,
    county_weights: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per county and target: published figure, calibration target, achieved value and error.

    It shows how well the county weights meet the published figures.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    targets = published_area_targets(data.target_sources, data.targets, state, year)
    records = with_target_columns(data, calibrated_population, targets)
    table = area_errors(records, county_weights, targets, schema.weight, schema.household)
    return stored_records(
        table.select(pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()),
        AREA_COLUMNS,
        {
            "counties": table["geoid"].n_unique(),
            "worst_error": float(table["relative_error"].abs().max()),  # type: ignore[arg-type]
            "worst_counties": metadata_table(
                table.sort(pl.col("relative_error").abs(), descending=True)
                .head(5)
                .select("geoid", "value", "achieved", error="relative_error")
            ),
            "fewest_effective_households": float(table["effective_households"].min()),  # type: ignore[arg-type]
        },
    )
