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
from microplex_pipeline.evaluation.columns import FIDELITY_COLUMNS
from microplex_pipeline.evaluation.fidelity import fidelity_by_variable


@state_year_asset("evaluation", "polars", code_version="1")
def fidelity_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    survey: pl.DataFrame,
    synthetic_population: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per amount: how far the synthetic distribution is from the surveyed one.

    Measured before calibration with design weights, so that it shows the models' errors, not the effect of
    the targets. `ks` is 0 if two distributions are equal and 1 if they do not overlap.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    table = fidelity_by_variable(
        survey,
        synthetic_population,
        schema.amount_columns,
        schema.condition_columns[0],
        schema.weight,
    )
    headline = [t.name for t in schema.targets if t.headline]
    worst = table.sort("ks", descending=True).head(5)
    amounts = pl.Series("amount", [data.words.heading(name) for name in worst["variable"]])
    return stored_records(
        table.select(
            pl.lit(state).alias("state"),
            pl.lit(year, pl.Int32).alias("year"),
            pl.all(),
            pl.col("variable").is_in(headline).alias("headline"),
        ),
        FIDELITY_COLUMNS,
        {
            "mean_ks_of_headline_amounts": float(
                table.filter(pl.col("variable").is_in(headline))["ks"].mean()  # type: ignore[arg-type]
            ),
            "worst_amounts": metadata_table(worst.select(amounts, "ks", "variable")),
        },
    )
