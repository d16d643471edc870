"""Step 7: what the weights must add up to."""

import dagster as dg
import polars as pl

from microplex_pipeline.assets.state_year import bad_input_fails, state_year_asset, stored_records
from microplex_pipeline.calibration.modelled_targets import modelled_targets
from microplex_pipeline.calibration.published_targets import published_targets
from microplex_pipeline.calibration.targets import TARGET_COLUMNS
from microplex_pipeline.partitions import partition_of
from microplex_pipeline.resources import DataFolder


@state_year_asset("calibration", "polars")
def targets(
    context: dg.AssetExecutionContext, data: DataFolder, survey: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """Calibration targets of one state and year, each with its source.

    Published: persons (Census), households by income (ACS 2011-2013, for 2012 to 2014). Modelled:
    the survey's own weighted totals of units by filing status and age, and of headline amounts.
    """
    state, year = partition_of(context)
    sources, schema = data.target_sources, data.survey_schema
    with bad_input_fails():
        published = published_targets(sources, data.targets, state, year, data.population)
        modelled = modelled_targets(survey, sources.modelled, schema.weight, schema.title)
    rows = pl.concat([published, modelled]).select(
        pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()
    )
    notes = published.filter(pl.col("note").is_not_null())["note"].unique().to_list()
    return stored_records(
        rows,
        TARGET_COLUMNS,
        {
            "published": published.height,
            "modelled": modelled.height,
            "scaled": "; ".join(notes) or "no published figure was scaled",
        },
    )
