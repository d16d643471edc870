"""The survey records of one state and year, as published."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import edition_title, read_survey


@state_year_asset("survey", "polars", code_version="1", files=["survey_files"])
def raw_survey(
    context: dg.AssetExecutionContext, data: dg.ResourceParam[DataFolder]
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per surveyed tax unit of a state and year, exactly as published.

    The records are verified against the survey's schema: columns, keys, weights, identities. A year after
    the last survey has the last survey's records; `survey_year` is the year that they were surveyed for.
    """
    state, year = state_and_year(context)
    records = read_survey(data.survey_schema, data.path, state, year)
    return stored_records(
        records,
        data.column_descriptions,
        {
            "source": edition_title(data.survey_schema, data.path, int(records["survey_year"][0])),
            "survey_year": int(records["survey_year"][0]),
            "weighted_units": float(records[data.survey_schema.weight].sum()),
        },
    )
