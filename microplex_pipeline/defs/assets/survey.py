"""The canonical survey records of one state and year."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import draw_ages, prepare_survey, weighted_persons


@state_year_asset(
    "survey",
    "polars",
    code_version="2",
    reads=["seed"],
    files=["growth_factors"],
)
def survey(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    raw_survey: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per surveyed tax unit, ready for modelling: in whole dollars of the year.

    The source's state factor on wages is undone. After the last survey, amounts are aged by per-person
    growth factors and weights by the state's population. Every row has the unit's place in its household,
    the household's size and income, and the ages of the unit's persons; those of dependants are drawn.
    """
    _, year = state_and_year(context)
    schema = data.survey_schema
    records = draw_ages(prepare_survey(raw_survey, schema, data.path), schema, parameters.seed)
    surveyed = int(records["survey_year"][0])
    return stored_records(
        records,
        data.column_descriptions,
        {
            "aged": f"from {surveyed} to {year}" if surveyed != year else "no, surveyed this year",
            "households": records[schema.household].n_unique(),
            "weighted_persons": weighted_persons(records, schema),
            "weighted_units": float(records[schema.weight].sum()),
        },
    )
