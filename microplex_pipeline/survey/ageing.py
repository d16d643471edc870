"""Ageing a survey: amounts by growth factors per person, weights by the state's population."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema


def age_records(records: pl.DataFrame, schema: SurveySchema, folder: str | Path) -> pl.DataFrame:
    """Move amounts and weights from the survey's year to the records' year.

    Amounts grow with their item's factor per person and are rounded to whole dollars; weights grow
    with the state's population. Records of their own survey year come back as they are.

    Raises
    ------
    SurveyError
        If a growth factor or population figure is missing for the year.
    """
    surveyed, year = records["survey_year"][0], records[schema.year][0]
    if surveyed == year:
        return records
    state = records[schema.state][0]
    factors = _growth_factors(schema, folder, surveyed, year)
    items = pl.read_csv(Path(folder) / schema.ageing.map)
    item_of: dict[str, str] = dict(items.select("column", "growth_factor").iter_rows())
    if missing := [c for c in schema.target_columns if item_of.get(c, "") not in factors]:
        raise SurveyError(f"no growth factor for {', '.join(missing)} in {schema.ageing.map}")
    losses = schema.ageing.negative_factors
    changes = []
    for column in schema.target_columns:
        gain = factors[item_of[column]]
        loss = factors[losses.get(item_of[column], item_of[column])]
        factor = pl.when(pl.col(column) < 0).then(loss).otherwise(gain)
        changes.append((pl.col(column) * factor).round().cast(pl.Int64).alias(column))
    growth = _population_growth(schema, folder, state, surveyed, year)
    return records.with_columns(*changes, pl.col(schema.weight) * growth)


def _growth_factors(
    schema: SurveySchema, folder: str | Path, surveyed: int, year: int
) -> dict[str, float]:
    table = pl.read_csv(Path(folder) / schema.ageing.factors).filter(
        pl.col("base_year") == surveyed, pl.col("year") == year
    )
    if table.height != 1:
        raise SurveyError(f"{schema.ageing.factors} has no factors from {surveyed} to {year}")
    return table.drop("base_year", "year").row(0, named=True)


def _population_growth(
    schema: SurveySchema, folder: str | Path, state: str, surveyed: int, year: int
) -> float:
    table = pl.read_csv(Path(folder) / schema.ageing.population).filter(
        pl.col("state") == state, pl.col("year") == year
    )
    column = f"ratio_to_{surveyed}"
    if table.height != 1 or column not in table.columns:
        raise SurveyError(f"{schema.ageing.population} has no {column} for {state} {year}")
    return float(table[column][0])
