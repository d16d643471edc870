"""Reading the records of one state and survey year, and verifying them against the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import (
    Unusable,
    lacking,
    parquet_types,
    read_rows,
    reading,
    refuse_nested,
)
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.identities import broken_identities, unequal_in_households
from microplex_pipeline.survey.person_ages import contradicting_ages
from microplex_pipeline.survey.schema import SurveySchema
from microplex_pipeline.survey.years import survey_file, survey_year

LARGEST = 2**53  # whole dollars up to here are exact, also as 64-bit fractions


def read_survey(schema: SurveySchema, folder: str | Path, state: str, year: int) -> pl.DataFrame:
    """Read the records of one state that are used for a year, exactly as in the source.

    Returns
    -------
    The source's columns, with `survey_year` (the year that was surveyed) and `year` set to the year
    asked for.

    Raises
    ------
    SurveyError
        If the file is missing or damaged, lacks a column, has no records of the state and year, or
        its records violate the schema.
    """
    return read_states(schema, folder, [state], year)[0]


def read_states(
    schema: SurveySchema, folder: str | Path, states: Sequence[str], year: int
) -> list[pl.DataFrame]:
    """Read the records of several states as in `read_survey`, in one pass over the file.

    Returns
    -------
    A frame per state, in the order given.

    Raises
    ------
    SurveyError
        As in `read_survey`, for the first state at fault.
    """
    source_year = survey_year(schema, folder, year)
    name = survey_file(schema, folder, source_year)
    path = Path(folder) / name
    label = f"survey file {name}"
    with reading(path, label, SurveyError):
        types = parquet_types(path)
        if missing := [c for c in schema.source_columns if c not in types]:
            raise lacking(missing)
        refuse_nested(types, types)
        if not types[schema.year].is_integer():
            raise Unusable(f"has no whole numbers in {schema.year}", "Correct it")
        if types[schema.state].is_numeric() or types[schema.state].is_temporal():
            raise Unusable(f"has no texts in {schema.state}", "Correct it")
        wanted = [pl.col(schema.state).is_in(states), pl.col(schema.year) == source_year]
        records = read_rows(path, list(types), wanted)
    found = []
    for state in states:
        of_state = records.filter(pl.col(schema.state) == state)
        if not of_state.height:
            raise SurveyError(
                f"{label} has no records of {state} in {source_year}. Add them, or choose another state"
            )
        verify(of_state, schema, f"{name}, {state} {source_year}")
        found.append(
            of_state.with_columns(
                pl.col(schema.year).cast(pl.Int32).alias("survey_year"),
                pl.lit(year, pl.Int32).alias(schema.year),
            )
        )
    return found


def verify(records: pl.DataFrame, schema: SurveySchema, label: str) -> None:
    """Check records against the schema.

    Parameters
    ----------
    label : the file, state and year, for the message.

    Raises
    ------
    SurveyError
        If records violate the schema; the message names every column at fault.
    """
    faults = _no_numbers(records, schema)
    if faults:
        raise SurveyError(f"{label}: {'; '.join(faults)}. Repair the file and read it again")
    weight = pl.col(schema.weight)
    bad = records.filter(weight.is_null() | ~weight.cast(pl.Float64).is_finite() | (weight < 0))
    if bad.height:
        units = ", ".join(str(u) for u in bad[schema.unit].head(5))
        faults.append(
            f"{schema.weight} is missing, NaN, infinite or negative in {bad.height} records "
            f"({schema.unit} {units})"
        )
    if repeated := int(records[schema.unit].is_duplicated().sum()):
        faults.append(f"{schema.unit} is repeated in {repeated} records")
    gaps = {
        column: records[column].null_count()
        + (records[column].is_nan().sum() if records[column].dtype.is_float() else 0)
        for column in schema.source_columns
        if column != schema.weight
    }
    faults += [
        f"{column} is missing in {count} records" for column, count in gaps.items() if count
    ]
    faults += [
        f"{column} is beyond {LARGEST:,} in {count} records"
        for column in (*schema.amount_columns, *schema.drawn_columns)
        if (count := records.filter(pl.col(column).cast(pl.Float64).abs() > LARGEST).height)
    ]
    nonnegative = [t.name for t in schema.targets if t.sign == "nonnegative"]
    negative = {
        name: records.filter(pl.col(name) < 0).height
        for name in (*nonnegative, *schema.drawn_columns)
    }
    faults += [
        f"{name} is negative in {count} records" for name, count in negative.items() if count
    ]
    faults += _outside(records, schema)
    if not faults:
        faults = (
            broken_identities(records, schema)
            + unequal_in_households(records, schema)
            + contradicting_ages(records, schema)
        )
    if faults:
        raise SurveyError(f"{label}: {'; '.join(faults)}. Repair the file and read it again")


def _outside(records: pl.DataFrame, schema: SurveySchema) -> list[str]:
    """Return one message per column with values outside its range, or codes without a label."""
    faults = []
    for column, (low, high) in schema.ranges.items():
        outside = records.filter(~pl.col(column).is_between(low, high))[column]
        if outside.len():
            faults.append(f"{column} is outside {low} to {high} in {_some(outside)}")
    for column, labels in schema.labels.items():
        number = pl.col(column).cast(pl.Float64)  # no whole number may be too large
        unknown = records.filter(~number.is_in([float(code) for code in labels]))[column]
        if unknown.len():
            faults.append(f"{column} has codes other than {_codes(labels)} in {_some(unknown)}")
    return faults


def _some(values: pl.Series) -> str:
    return f"{values.len()} records (such as {values[0]})"


def _codes(labels: Mapping[int, str]) -> str:
    return ", ".join(map(str, labels))


def _no_numbers(records: pl.DataFrame, schema: SurveySchema) -> list[str]:
    """Return one message per column that must hold numbers and holds something else."""
    ids = (schema.state, schema.household, schema.unit)
    amounts = {*schema.amount_columns, *schema.drawn_columns}
    return [
        f"{column} is not a number"
        for column in schema.source_columns
        if column not in ids
        and not records.schema[column].is_numeric()
        and (column in amounts or not isinstance(records.schema[column], pl.Boolean))
    ]
