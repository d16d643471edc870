"""Totals over all years of a survey's first edition, as its source scaled them.

The source multiplied amounts by one factor per state so that the pooled years, each with an equal share of
the weight, add up to tax statistics of one year. A single year's sample, with the factor undone, knows the
state's level far less well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import parquet_types, read_rows, reading
from microplex_pipeline.survey.ageing import growth_of_item, population_growth
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema


def pooled_total(
    schema: SurveySchema,
    folder: str | Path,
    state: str,
    year: int,
    variable: str,
    level_of: int,
) -> float:
    """Return the total of an amount in a state and year, from all years of the first edition.

    Parameters
    ----------
    variable : the amount.
    level_of : the year to whose level the source scaled it. For other years it grows by the per-person
        factor of the amount and by the state's population.

    Raises
    ------
    SurveyError
        If the survey has no such amount, or no records of the state in one of its years; or if a growth
        factor or population figure is missing.
    """
    if variable not in schema.amount_columns or variable in schema.household_amounts:
        known = [c for c in schema.amount_columns if c not in schema.household_amounts]
        raise SurveyError(
            f"pooled totals: the survey has no amount {variable!r} of units. It has {', '.join(known)}"
        )
    total = _total(schema, folder, state, schema.years, variable)
    if year == level_of:
        return total
    item = growth_of_item(schema, folder, variable, level_of, year)
    return total * item * population_growth(schema, folder, state, level_of, year)


def _total(
    schema: SurveySchema, folder: str | Path, state: str, years: Sequence[int], variable: str
) -> float:
    path = Path(folder) / schema.file
    label = f"survey file {schema.file}"
    columns = [schema.year, schema.weight, variable]
    with reading(path, label, SurveyError):
        parquet_types(path)
        wanted = [pl.col(schema.state) == state, pl.col(schema.year).is_in(list(years))]
        records = read_rows(path, columns, wanted)
    if missing := sorted(set(years) - set(records[schema.year])):
        raise SurveyError(f"{label} has no records of {state} in {missing[0]}. Add them")
    amounts = (
        records[schema.weight].cast(pl.Float64) * records[variable].cast(pl.Float64)
    ).to_numpy()
    # summed in the file's order: groups come in a random one, and sums of floats depend on it
    return float(amounts.sum()) / len(years)
