"""How far targets are missed by weights that did not see them."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import (
    metadata_table,
    state_year_asset,
    stored_records,
)
from microplex_pipeline.defs.assets.target_inputs import place_of, pooled_totals, survey_columns
from microplex_pipeline.defs.assets.targets import targets
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.columns import HELD_OUT_COLUMNS
from microplex_pipeline.evaluation.held_out import held_out_errors, held_out_summary


@state_year_asset(
    "evaluation",
    "scipy",
    code_version="3",
    files=["survey_files", "target_files", "growth_factors"],
    deps=[targets],  # figures that cannot be used stop it there
)
def held_out_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    survey: pl.DataFrame,
    synthetic_population: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per target: how far it is missed if its family is held out of the calibration.

    Families are the sources of targets, held out in turn. The synthetic records' miss stands beside that of
    the survey, calibrated to the same targets: what both miss, the survey does not know; what the synthetic
    records miss alone, the models lost.
    """
    state, year = state_and_year(context)
    errors = held_out_errors(
        survey,
        synthetic_population,
        data.target_sources,
        place_of(data, state, year),
        survey_columns(data, survey),
        pooled_totals(data, state, year),
    )
    return stored_records(
        errors.select(
            pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()
        ),
        HELD_OUT_COLUMNS,
        {"families": metadata_table(held_out_summary(errors))},
    )
