"""Taking in a later edition of a survey: verified as a whole, stored by year, or refused as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.reader import verify
from microplex_pipeline.survey.schema import SurveySchema
from microplex_pipeline.survey.years import later_editions


def take_in(
    file: Path,
    schema: SurveySchema,
    folder: str | Path,
    states: Sequence[str],
    last_year: int,
    min_records: int = 1,
) -> list[int]:
    """Store a file's records by year among the later editions, and return its years.

    The file itself stays where it is. Columns that the first edition does not have are left out.

    Parameters
    ----------
    file : Parquet, with the columns of the first edition; one year or several, all states.
    states : that every year must have records of.
    last_year : the last one that is over.
    min_records : of a state, fewer are refused.

    Raises
    ------
    SurveyError
        If anything is wrong with the file; nothing is stored then.
    """
    records = _as_first_edition(file, schema, folder)
    years = sorted(records[schema.year].unique())
    if early := [y for y in years if y < min(schema.years)]:
        raise SurveyError(f"{file.name} has records of {early[0]}, before the first survey")
    if late := [y for y in years if y > last_year]:
        raise SurveyError(f"{file.name} has records of {late[0]}, which is not over")
    for year in years:
        of_year = records.filter(pl.col(schema.year) == year)
        there = set(of_year[schema.state].unique())
        if missing := [s for s in states if s not in there]:
            raise SurveyError(f"{file.name} has no records of {', '.join(missing)} in {year}")
        if unknown := sorted(there - set(states)):
            raise SurveyError(f"{file.name} has records of {', '.join(unknown)}: no such state")
        for state in states:
            label = f"{file.name}, {state} {year}"
            of_state = of_year.filter(pl.col(schema.state) == state)
            verify(of_state, schema, label)
            if of_state.height < min_records:
                raise SurveyError(f"{label}: {of_state.height} records, fewer than {min_records}")
            if not of_state[schema.weight].sum() > 0:
                raise SurveyError(f"{label}: {schema.weight} is zero in all records")
    target = Path(folder) / later_editions(schema)
    target.mkdir(parents=True, exist_ok=True)
    unfinished = {}
    for year in years:  # all are written before one counts
        unfinished[year] = target / f"{year}.part"
        records.filter(pl.col(schema.year) == year).write_parquet(unfinished[year])
    for year, part in unfinished.items():
        part.replace(target / f"{year}.parquet")
    return years


def _as_first_edition(file: Path, schema: SurveySchema, folder: str | Path) -> pl.DataFrame:
    """Read a file with the first edition's columns and types."""
    types = pl.read_parquet_schema(Path(folder) / schema.file)
    try:
        records = pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).replace(str(file), file.name)
        raise SurveyError(
            f"{file.name} cannot be read as Parquet, it may be truncated: {said}"
        ) from error
    if missing := [c for c in types if c not in records.columns]:
        raise SurveyError(f"{file.name} lacks columns: {', '.join(missing)}")
    if records.is_empty():
        raise SurveyError(f"{file.name} has no records")
    for key in (schema.year, schema.state):
        if gaps := records[key].null_count():
            raise SurveyError(f"{file.name}: {key} is missing in {gaps} records")
    try:
        cast = records.select(pl.col(name).cast(dtype) for name, dtype in types.items())
    except pl.exceptions.PolarsError as error:
        raise SurveyError(f"{file.name} has values of another type: {error}") from error
    for name, dtype in types.items():
        before = records[name]
        if dtype.is_integer() and before.dtype.is_float() and (before != cast[name]).any():
            raise SurveyError(f"{file.name}: {name} has fractions, and should be whole")
    return cast
