"""What the synthetic records may reveal about respondents."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import (
    metadata_table,
    state_year_asset,
    stored_records,
)
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.columns import DISCLOSURE_COLUMNS
from microplex_pipeline.evaluation.disclosure import disclosure_table


@state_year_asset("evaluation", "polars", code_version="3")
def disclosure_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    survey: pl.DataFrame,
    synthetic_population: pl.DataFrame,
    national_survey: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per measure of disclosure risk: its value, the value that chance gives, and a verdict.

    Chance is the same measure for people of other states on whom no model was trained: some of their
    amounts and records occur among the synthetic ones, too, because many people are alike. What
    respondents' conditions tell of their amounts is compared with what the other respondents tell.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    others = national_survey.filter(pl.col("held_out"), pl.col(schema.state) != state)
    table = disclosure_table(
        survey,
        others,
        synthetic_population,
        schema.target_columns,
        schema.condition_columns,
        schema.household,
    )
    return stored_records(
        table.select(pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()),
        DISCLOSURE_COLUMNS,
        {
            "beside_chance": metadata_table(
                table.select("measure", "value", "chance", "z", "verdict", "meaning")
            )
        },
    )
