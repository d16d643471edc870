"""Importing a later edition of a survey: a file is verified and stored by year, or refused entirely."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import (
    Types,
    Unusable,
    in_one_line,
    listed,
    parquet_types,
    read_rows,
    reading,
    refuse_nested,
    write_together,
)
from microplex_pipeline.survey.edition_totals import (
    LIMITS,
    EditionLimits,
    earlier_edition,
    implausible_totals,
)
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.reader import verify
from microplex_pipeline.survey.schema import SurveySchema
from microplex_pipeline.survey.years import later_editions

NAMED = 5  # faults named in a message


def take_in(
    file: Path,
    schema: SurveySchema,
    folder: str | Path,
    states: Sequence[str],
    last_year: int,
    min_records: int = 1,
    limits: EditionLimits = LIMITS,
) -> list[int]:
    """Store a file's records by year among the later editions, and return its years.

    The file itself is left in place. Columns that the first edition does not have are dropped.

    Parameters
    ----------
    file : Parquet file with the columns of the first edition, all states, and one or more years.
    folder : data folder.
    states : states that must have records in every year.
    last_year : last year that is over; later ones are refused.
    min_records : smallest number of records of a state and year.
    limits : how far totals may be from those of the edition before.

    Raises
    ------
    SurveyError
        If anything is wrong with the file; then nothing is stored. The message says what is wrong with
        which file; the caller, who knows where the file came from, adds what to do.
    """
    records = _as_first_edition(file, schema, folder)
    years = sorted(records[schema.year].unique())
    if early := [y for y in years if y < min(schema.years)]:
        raise SurveyError(f"{file.name} has records of {early[0]}, before the first survey")
    if late := [y for y in years if y > last_year]:
        raise SurveyError(f"{file.name} has records of {late[0]}, which is not over")
    for year in years:
        of_year = records.filter(pl.col(schema.year) == year)
        _verify_year(of_year, schema, states, min_records, file.name, year)
        earlier = earlier_edition(schema, folder, states, year)
        if faults := implausible_totals(
            of_year, earlier, schema, folder, schema.target_columns, limits
        ):
            raise SurveyError(
                f"{file.name}, {year}: {'; '.join(faults[:NAMED])}"
                + (f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else "")
                + ". Compare the file with its source; if it is right, raise checks.max_persons_ratio or "
                "checks.max_amount_ratio in microplex.yaml"
            )
    editions = Path(folder) / later_editions(schema)
    write_together(
        {
            editions / f"{year}.parquet": records.filter(pl.col(schema.year) == year).write_parquet
            for year in years
        }
    )
    return years


def columns_left_out(file: Path, schema: SurveySchema, folder: str | Path) -> list[str]:
    """Return the columns of a file that `take_in` does not store: those that the first edition lacks.

    Raises
    ------
    SurveyError
        If this file or that of the first edition is missing or damaged.
    """
    types = _types_of_first(schema, folder)
    with reading(file, file.name, SurveyError, "incoming folder"):
        return [name for name in parquet_types(file) if name not in types]


def _verify_year(
    records: pl.DataFrame,
    schema: SurveySchema,
    states: Sequence[str],
    min_records: int,
    file: str,
    year: int,
) -> None:
    """Raise SurveyError if a year's records lack a state, break the schema, or are too few."""
    present = set(records[schema.state].unique())
    if missing := [s for s in states if s not in present]:
        raise SurveyError(f"{file} has no records of {', '.join(missing)} in {year}")
    if unknown := sorted(present - set(states)):
        raise SurveyError(f"{file} has records of {', '.join(unknown)}: no such state")
    for state in states:
        label = f"{file}, {state} {year}"
        of_state = records.filter(pl.col(schema.state) == state)
        verify(of_state, schema, label)
        if of_state.height < min_records:
            raise SurveyError(f"{label}: {of_state.height} records, fewer than {min_records}")
        if not of_state[schema.weight].sum() > 0:
            raise SurveyError(f"{label}: {schema.weight} is zero in all records")


def _types_of_first(schema: SurveySchema, folder: str | Path) -> Types:
    first = Path(folder) / schema.file
    with reading(first, f"survey file {first.name}", SurveyError):
        return parquet_types(first)


def _as_first_edition(file: Path, schema: SurveySchema, folder: str | Path) -> pl.DataFrame:
    """Return a file's records with the columns and types of the first edition."""
    types = _types_of_first(schema, folder)
    with reading(file, file.name, SurveyError, "incoming folder"):
        present = parquet_types(file)
        if missing := [c for c in types if c not in present]:
            raise SurveyError(f"{file.name} lacks columns: {listed(missing, str, ', ')}")
        refuse_nested(present, types)
        for name, dtype in types.items():
            if present[name].is_temporal() and not dtype.is_temporal():
                raise Unusable(f"has dates or times in {name}", f"The first edition has {dtype}")
        records = read_rows(file, list(types))
    if records.is_empty():
        raise SurveyError(f"{file.name} has no records")
    for key in (schema.year, schema.state):
        if gaps := records[key].null_count():
            raise SurveyError(f"{file.name}: {key} is missing in {gaps} records")
    try:
        cast = records.select(pl.col(name).cast(dtype) for name, dtype in types.items())
    except pl.exceptions.PolarsError as error:
        raise SurveyError(
            f"{file.name} has values of another type than the first edition: {in_one_line(str(error))}"
        ) from error
    for name, dtype in types.items():
        before = records[name]
        if dtype.is_integer() and before.dtype.is_float() and (before != cast[name]).any():
            raise SurveyError(f"{file.name}: {name} has fractions, but must be whole numbers")
    return cast
