"""The persons of the final microdata."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import persons_of
from microplex_pipeline.survey.columns import PERSONS, SYNTHETIC_KEYS


@state_year_asset("calibration", "polars", code_version="1")
def persons(
    data: dg.ResourceParam[DataFolder], calibrated_population: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per person of the calibrated population, with age and role in the unit.

    A person has the weight of the household. Join the unit's amounts by `tax_unit_id`. The survey has the
    ages of heads and spouses; those of dependants are drawn within its bands of ages.
    """
    rows = persons_of(calibrated_population, data.survey_schema)
    weight = rows[data.survey_schema.weight]
    return stored_records(
        rows,
        data.column_descriptions | SYNTHETIC_KEYS | PERSONS,
        {
            "persons": rows.height,
            "weighted_persons": float(weight.sum()),
            "under_18": float(weight.filter(rows["age"] < 18).sum()),
            "65_and_over": float(weight.filter(rows["age"] >= 65).sum()),
        },
    )
