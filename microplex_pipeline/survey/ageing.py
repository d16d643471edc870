"""Ageing a survey: amounts by per-person growth factors, weights by the state's population."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import read_table
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema


def age_records(records: pl.DataFrame, schema: SurveySchema, folder: str | Path) -> pl.DataFrame:
    """Age amounts and weights from the year of the survey to the year of the records.

    Amounts grow by the per-person factor of their item and are rounded to whole dollars. Weights grow
    with the state's population. Records that were surveyed in their year are returned unchanged.

    Parameters
    ----------
    records : records of one state and year, with `survey_year`.
    folder : data folder with the files that `schema.ageing` names.

    Raises
    ------
    SurveyError
        If a growth factor or population figure is missing for the year.
    """
    surveyed, year = records["survey_year"][0], records[schema.year][0]
    if surveyed == year:
        return records
    state = records[schema.state][0]
    aged = [c for c in schema.aged_columns if c in records.columns]
    gains, losses = _growth(schema, folder, surveyed, year)
    changes = []
    for column in aged:
        factor = pl.when(pl.col(column) < 0).then(losses[column]).otherwise(gains[column])
        changes.append((pl.col(column) * factor).round().cast(pl.Int64).alias(column))
    growth = population_growth(schema, folder, state, surveyed, year)
    return records.with_columns(*changes, pl.col(schema.weight) * growth)


def amount_growth(
    schema: SurveySchema, folder: str | Path, surveyed: int, year: int
) -> dict[str, float]:
    """Return the growth of each amount that is not negative, from a surveyed year to a later one.

    Raises
    ------
    SurveyError
        If a growth factor is missing for the year.
    """
    if surveyed == year:
        return dict.fromkeys(schema.aged_columns, 1.0)
    return _growth(schema, folder, surveyed, year)[0]


def _growth(
    schema: SurveySchema, folder: str | Path, surveyed: int, year: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the growth of each column's gains, and of its losses."""
    factors = _growth_factors(schema, folder, surveyed, year)
    item_of = _items(schema, folder)
    if missing := [c for c in schema.aged_columns if item_of.get(c, "") not in factors]:
        raise SurveyError(
            f"file {schema.ageing.map} has no known growth factor for {', '.join(missing)}. Add it"
        )
    losses = schema.ageing.negative_factors
    gains = {c: factors[item_of[c]] for c in schema.aged_columns}
    return gains, {c: factors[losses.get(item_of[c], item_of[c])] for c in schema.aged_columns}


def growth_of_item(
    schema: SurveySchema, folder: str | Path, column: str, first: int, last: int
) -> float:
    """Return the growth of a column's amount per person from a year to another, which may be earlier.

    Raises
    ------
    SurveyError
        If it has no growth factor.
    """
    factors = _growth_factors(schema, folder, min(first, last), max(first, last))
    item = _items(schema, folder).get(column, "")
    if item not in factors:
        raise SurveyError(
            f"file {schema.ageing.map} has no known growth factor for {column}. Add it"
        )
    return factors[item] if first <= last else 1 / factors[item]


def _items(schema: SurveySchema, folder: str | Path) -> dict[str, str]:
    """Return the growth factor of each column."""
    items = read_table(
        Path(folder) / schema.ageing.map, {"column": pl.String, "growth_factor": pl.String}
    )
    return dict(items.select("column", "growth_factor").iter_rows())


def _growth_factors(
    schema: SurveySchema, folder: str | Path, surveyed: int, year: int
) -> dict[str, float]:
    """Return growth by item from `surveyed` to `year`, as the ratio of two factors of one base year."""
    years = {"base_year": pl.Int64, "year": pl.Int64}
    table = read_table(Path(folder) / schema.ageing.factors, years, others=pl.Float64)
    base = table.filter(pl.col("base_year") <= surveyed)["base_year"].max()
    to_both = {
        y: table.filter(pl.col("base_year") == base, pl.col("year") == y) for y in (surveyed, year)
    }
    if any(rows.height != 1 for rows in to_both.values()):
        raise SurveyError(
            f"file {schema.ageing.factors} has no factors from {surveyed} to {year}. Add them"
        )
    start, end = (r.drop("base_year", "year").row(0, named=True) for r in to_both.values())
    for item in end:
        if not all(y[item] is not None and 0 < y[item] < float("inf") for y in (start, end)):
            raise SurveyError(
                f"file {schema.ageing.factors}: {item} from {surveyed} to {year} is missing or not "
                "positive. Correct it"
            )
    return {item: end[item] / start[item] for item in end}


def population_growth(
    schema: SurveySchema, folder: str | Path, state: str, surveyed: int, year: int
) -> float:
    """Return the state's population in `year` over that in `surveyed`.

    Raises
    ------
    SurveyError
        If the file lacks one of them.
    """
    table = read_table(
        Path(folder) / schema.ageing.population,
        {"state": pl.String, "year": pl.Int64, "persons": pl.Float64},
    ).filter(pl.col("state") == state)
    persons = dict(table.select("year", "persons").iter_rows())
    if missing := [y for y in (surveyed, year) if not 0 < (persons.get(y) or 0) < float("inf")]:
        raise SurveyError(
            f"file {schema.ageing.population} has no persons of {state} in {missing[0]}. Add them"
        )
    return float(persons[year] / persons[surveyed])
