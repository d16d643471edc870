"""The state's weights distributed across its counties."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.areas.published_figures import fit_published_areas
from microplex_pipeline.calibration.targets.published_areas import (
    COUNTY_COLUMNS,
    published_area_targets,
)
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.assets.target_inputs import with_target_columns
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder


@state_year_asset("calibration", "scipy", code_version="2", files=["county_files"])
def county_weights(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    calibrated_population: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per county and household: the part of the household's weight that is in the county.

    Use it to estimate figures of counties. A household's weights across the counties add up to its weight
    in the state, and every county has its published figures, exactly or within the precision that their
    source gives. Figures are scaled to the state's total first; they can be of another year.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    targets = published_area_targets(data.target_sources, data.targets, state, year)
    records = with_target_columns(data, calibrated_population, targets)
    fitted = fit_published_areas(records, targets, schema.weight, schema.household)
    return stored_records(
        fitted.area_weights_.select(
            pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()
        ),
        COUNTY_COLUMNS,
        {
            "counties": targets["geoid"].n_unique(),
            "figures_of": int(targets["file_year"].max()),  # type: ignore[arg-type]
            "targeted": ", ".join(
                targets.select(pl.format("{} {}", "variable", "domain").unique())[:, 0]
            ),
            "worst_error": float(fitted.report_["relative_error"].abs().max()),  # type: ignore[arg-type]
        },
    )
