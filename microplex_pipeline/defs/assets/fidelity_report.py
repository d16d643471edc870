"""How close the synthetic margins are to the survey's."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import (
    metadata_table,
    state_year_asset,
    stored_records,
)
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.amount_fidelity import ALIKE, amount_fidelity
from microplex_pipeline.evaluation.columns import FIDELITY_COLUMNS


@state_year_asset("evaluation", "polars", code_version="2")
def fidelity_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    survey: pl.DataFrame,
    synthetic_population: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per amount: how far synthetic records are from surveyed ones, and what sampling allows.

    Measured before calibration with design weights, so that it shows the models' errors, not the effect of
    the targets. Holders are units whose amount is not zero; `verdict` compares their share, the
    distribution of their amounts and the total with the sampling errors of survey and draw.
    """
    state, year = state_and_year(context)
    table = amount_fidelity(survey, synthetic_population, data.survey_schema)
    of_headline = table.filter("headline")
    notable = of_headline.filter(pl.col("verdict") != ALIKE)
    amounts = pl.Series("amount", [data.words.heading(name) for name in notable["variable"]])
    return stored_records(
        table.select(pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()),
        FIDELITY_COLUMNS,
        {
            "headline_amounts": of_headline.height,
            **dict(of_headline["verdict"].value_counts().sort("verdict").iter_rows()),
            "notable": metadata_table(
                notable.select(amounts, "verdict", "ks_holders", "total_gap", "variable")
            ),
        },
    )
