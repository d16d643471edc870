"""Description of each column of a survey's records, with its unit."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import read_table
from microplex_pipeline.survey.schema import SurveySchema

DERIVED = {
    "year": "calendar year of the amounts",
    "survey_year": "year that was surveyed; earlier than year if the records are aged",
    "unit_number": "number of the unit within its household, 1 for the first",
    "ages": "ages of the unit's persons: head, spouse, dependants; those of dependants are drawn (years)",
    "household_units": "units in the household",
    "household_persons": "persons in the household",
    "weight": "number of units in the population that the record represents",
    "design_weight": "weight before calibration",
}


SYNTHETIC_KEYS = {
    "household_id": "synthetic household, numbered from 1 within state and year",
    "tax_unit_id": "synthetic unit, numbered from 1 within state and year",
}

PERSONS = {
    "person_number": "number of the person within its unit, 1 for the head",
    "role": "head, spouse or dependent",
    "age": "age; 80 is 80-84, 85 is 85+; a dependant's is drawn within the survey's bands (years)",
}

HELD_OUT = {"held_out": "true if no model was trained on the record"}


def column_descriptions(schema: SurveySchema, folder: str | Path) -> dict[str, str]:
    """Return a description with unit for each column, from the survey's column dictionary.

    Raises
    ------
    DataFileError
        If the dictionary is missing or cannot be read.
    """
    table = read_table(
        Path(folder) / schema.columns_file,
        dict.fromkeys(["column", "description", "unit"], pl.String),
    )
    described = {
        row["column"]: f"{row['description']} ({row['unit']})" for row in table.to_dicts()
    }
    parts = ", ".join(part.replace("_", " ") for part in schema.household_income)
    described["household_income"] = f"money income of the household: {parts} (dollars a year)"
    return described | DERIVED
