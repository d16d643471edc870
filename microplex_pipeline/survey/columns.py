"""Description of each column of a survey's records, with its unit."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import read_table
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import DERIVED_CONDITIONS, SurveySchema

SYNTHESIZED = "synthesized"
DRAWN_AFTER = "drawn after the amounts"
COMPUTED = "computed"
RESAMPLED = "resampled with the household's composition"

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
    "family_id": "family of the synthetic household: household_id*20 + family_number",
}

PERSONS = {
    "person_number": "number of the person within its unit, 1 for the head",
    "role": "head, spouse or dependent",
    "age": "age; 80 is 80-84, 85 is 85+; a dependant's is drawn within the survey's bands (years)",
}

HELD_OUT = {"held_out": "true if no model was trained on the record"}


def column_descriptions(schema: SurveySchema, folder: str | Path) -> dict[str, str]:
    """Return a description with unit and origin for each column, from the survey's column dictionary.

    The origin says how a synthetic record comes by the column, see `column_origins`.

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
    described |= DERIVED
    parts = ", ".join(part.replace("_", " ") for part in schema.household_income)
    described["household_income"] = f"money income of the household: {parts} (dollars a year)"
    origins = column_origins(schema)
    return {
        name: f"{text}; origin: {origins[name]}" if name in origins else text
        for name, text in described.items()
    }


def column_origins(schema: SurveySchema) -> dict[str, str]:
    """Return how a synthetic record comes by each column, keys and weights apart."""
    totals = [i.total for i in schema.totals]
    derived = [*DERIVED_CONDITIONS, "household_income"]
    return (
        dict.fromkeys([*schema.condition_columns, *schema.carried], RESAMPLED)
        | dict.fromkeys([*totals, *derived, *(c.name for c in schema.computed)], COMPUTED)
        | dict.fromkeys(schema.target_columns, SYNTHESIZED)
        | dict.fromkeys(schema.drawn_columns, DRAWN_AFTER)
    )


def tax_calculator_names(schema: SurveySchema, folder: str | Path) -> dict[str, str]:
    """Return the survey's column by each of Tax-Calculator's names, from the column dictionary.

    A column can have several names, separated by spaces: children under 13 are both nu13 and f2441.

    Raises
    ------
    DataFileError
        If the dictionary is missing or cannot be read.
    SurveyError
        If a name is given twice.
    """
    table = read_table(
        Path(folder) / schema.columns_file, dict.fromkeys(["column", "taxcalc"], pl.String)
    )
    names: dict[str, str] = {}
    for column, given in table.select("column", "taxcalc").iter_rows():
        for name in (given or "").split():
            if name in names:
                raise SurveyError(
                    f"file {schema.columns_file}: {names[name]} and {column} are both {name} in the "
                    "column taxcalc. Correct it"
                )
            names[name] = column
    return names
