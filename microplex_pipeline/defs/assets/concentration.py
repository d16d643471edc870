"""How much of each total rests on few households."""

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
from microplex_pipeline.evaluation.columns import CONCENTRATION_COLUMNS
from microplex_pipeline.evaluation.concentration import amount_concentration, target_concentration


@state_year_asset("evaluation", "polars", code_version="1", files=["target_files"])
def concentration(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    calibrated_population: pl.DataFrame,
    county_weights: pl.DataFrame,
    targets: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per area and headline amount, and per target: shares of the largest households in the total.

    `largest_share` is how much of a total one household carries, which is also how much of it would be lost
    without that household; `top_ten_share` is the same for the ten largest. Areas are the state and its
    counties.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    keys = (schema.weight, schema.household)
    amounts = amount_concentration(
        calibrated_population, schema.headline_totals, *keys, county_weights
    )
    records = with_target_columns(data, calibrated_population, targets)
    table = pl.concat([amounts, target_concentration(records, targets, *keys)])
    worst = table.sort("largest_share", descending=True, maintain_order=True).head(5)
    return stored_records(
        table.select(pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()),
        CONCENTRATION_COLUMNS,
        {
            "largest_share": float(table["largest_share"].max()),  # type: ignore[arg-type]
            "most_concentrated": metadata_table(
                worst.select("area", "name", "largest_share", "top_ten_share")
            ),
        },
    )
