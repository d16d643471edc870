"""Published figures of counties beside what the county weights give; they are not aimed at."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.published_areas import published_area_targets
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.assets.target_inputs import with_target_columns
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.columns import COMPARISON_COLUMNS
from microplex_pipeline.evaluation.comparisons import compared_figures


@state_year_asset("evaluation", "polars", code_version="1", files=["county_files"])
def comparisons(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    calibrated_population: pl.DataFrame,
    county_weights: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per figure that is compared only: a county's published figure, and what the records give.

    These figures are too old, or defined otherwise, to be targets. Compare shares where years differ.
    """
    state, year = state_and_year(context)
    figures = published_area_targets(
        data.target_sources, data.targets, state, year, compare_only=True
    )
    schema = data.survey_schema
    table = compared_figures(
        with_target_columns(data, calibrated_population, figures),
        county_weights,
        figures,
        schema.household,
    )
    apart = (pl.col("share_achieved") - pl.col("share")).abs().mean()
    return stored_records(
        table.select(
            pl.lit(state).alias("state"),
            pl.lit(year, pl.Int32).alias("year"),
            *COMPARISON_COLUMNS,
        ),
        COMPARISON_COLUMNS,
        {
            "figures": table.height,
            "without_columns_of_their_own": table["achieved"].null_count(),
            "mean_difference_of_shares": float(table.select(apart).item() or 0.0),
        },
    )
