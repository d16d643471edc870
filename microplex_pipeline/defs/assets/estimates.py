"""Headline figures and targets of a state with their standard errors."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import (
    metadata_table,
    state_year_asset,
    stored_records,
)
from microplex_pipeline.defs.assets.target_inputs import with_target_columns
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.columns import ESTIMATE_COLUMNS
from microplex_pipeline.evaluation.headline_estimates import headline_estimates, target_estimates


@state_year_asset("evaluation", "polars", code_version="2", files=["target_files"])
def estimates(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    calibrated_population: pl.DataFrame,
    targets: pl.DataFrame,
    replicates: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per figure: the estimate from calibrated_population, its standard error and 95 % interval.

    Headline amounts, household incomes, inequality, relative poverty, and every calibration target. The
    errors are those of the file: of the survey's sample, of the models, and of drawing and weighting. The
    national models and published figures are taken as known.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    headline = headline_estimates(calibrated_population, replicates, schema)
    # household numbers repeat over replicates, so each derives its columns alone
    parts = replicates.partition_by("replicate", maintain_order=True)
    of_targets = target_estimates(
        with_target_columns(data, calibrated_population, targets),
        pl.concat(with_target_columns(data, part, targets) for part in parts),
        targets,
        schema,
    )
    rows = pl.concat([headline, of_targets]).select(
        pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()
    )
    shown = headline.filter(pl.col("statistic").is_in(["total", "top-coded gini", "poverty rate"]))
    return stored_records(
        rows,
        ESTIMATE_COLUMNS,
        {
            "figures": rows.height,
            "estimates": metadata_table(
                shown.select("statistic", "variable", "estimate", "standard_error")
            ),
        },
    )
