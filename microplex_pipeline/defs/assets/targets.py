"""The calibration targets: what the weights must add up to."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.precision import IS_EXACT
from microplex_pipeline.calibration.targets.state_targets import state_targets
from microplex_pipeline.calibration.targets.table import KINDS, TARGET_COLUMNS
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.assets.target_inputs import place_of, pooled_totals, survey_columns
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder


@state_year_asset(
    "calibration",
    "polars",
    code_version="5",
    files=["target_files", "growth_factors"],
)
def targets(
    context: dg.AssetExecutionContext, data: dg.ResourceParam[DataFolder], survey: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per calibration target of a state and year: what to add up, the value and its source.

    Published targets come from the files of `data/targets`, as its sources.yaml says. Pooled ones are
    totals of all the survey's years. Modelled ones are totals of units by filing status and age, and of
    headline amounts, estimated from the survey after it was grossed up to the published persons and raked
    to the published figures; they are met within their standard errors. A published figure replaces a
    modelled one of the same thing.
    """
    state, year = state_and_year(context)
    found = state_targets(
        survey,
        data.target_sources,
        place_of(data, state, year),
        survey_columns(data, survey),
        pooled_totals(data, state, year),
    )
    rows = found.table.select(
        pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()
    )
    scaled = rows.filter(pl.col("kind").is_in(["published", "share"]))["note"]
    return stored_records(
        rows,
        TARGET_COLUMNS,
        {
            **{kind: rows.filter(kind=kind).height for kind in KINDS},
            "met_exactly": rows.filter(IS_EXACT).height,
            "published_persons_over_the_surveys": found.persons_factor,
            "scaled": "; ".join(scaled.drop_nulls().unique().sort()) or "no published figure",
        },
    )
