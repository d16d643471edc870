"""The canonical survey: raw records unscaled, aged if necessary, with their households described."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import read_table
from microplex_pipeline.survey.ageing import age_records
from microplex_pipeline.survey.computed import add_computed
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.identities import add_totals
from microplex_pipeline.survey.schema import SurveySchema


def prepare_survey(raw: pl.DataFrame, schema: SurveySchema, folder: str | Path) -> pl.DataFrame:
    """Return the canonical survey of one state and year.

    The source's state factor is undone. Amounts and weights are aged if the records were surveyed in an
    earlier year. Totals, and computed columns that the file lacks, are computed. Every unit gets its number
    within the household, and the household's size and money income. A household's amount is kept on its
    first unit only.

    Parameters
    ----------
    raw : records of one state and year from `read_survey`.
    folder : data folder with the factor files.

    Raises
    ------
    SurveyError
        If a state factor, growth factor or population figure is missing or unusable.
    DataFileError
        If a factor file is missing or cannot be read.
    """
    columns = [
        schema.state, schema.year, "survey_year", schema.household, schema.unit, schema.weight,
        *(c for c in schema.condition_columns if c in raw.columns),
        *schema.carried, *schema.target_columns, *schema.drawn_columns,
        *(c.name for c in schema.computed if c.name in raw.columns),
    ]  # fmt: skip
    dollars = [c for c in schema.aged_columns if c in columns]
    records = raw.select(list(dict.fromkeys(columns))).with_columns(
        pl.col(dollars).cast(pl.Int64),
        pl.col(schema.weight).cast(pl.Float64),
        pl.col([schema.household, schema.unit]).cast(pl.Int64),
    )
    records = _undo_state_scaling(records, schema, folder)
    records = age_records(records, schema, folder)
    records = add_totals(records, schema).sort(schema.household, schema.unit)
    records = describe_households(records, schema)
    records = add_computed(records, schema.computed)
    first = pl.col("unit_number") == 1
    return records.with_columns(
        pl.when(first).then(pl.col(c)).otherwise(0).alias(c) for c in schema.household_amounts
    )


def _undo_state_scaling(
    records: pl.DataFrame, schema: SurveySchema, folder: str | Path
) -> pl.DataFrame:
    scaling = schema.state_scaling
    factors = read_table(
        Path(folder) / scaling.file, {schema.state: pl.String, scaling.factor: pl.Float64}
    )
    state = records[schema.state][0]
    known = factors.filter(pl.col(schema.state) == state)
    factor = known[scaling.factor][0] if known.height else None
    if factor is None or not 0 < factor < float("inf"):
        raise SurveyError(
            f"file {scaling.file}: {scaling.factor} of {state} is missing or not positive. Correct it"
        )
    # the source truncated to whole dollars, so the reported amount is the next whole dollar
    return records.with_columns((pl.col(scaling.columns) / factor - 1e-9).ceil().cast(pl.Int64))


def describe_households(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Add unit_number, household_units, household_persons and household_income.

    `household_income` is added only if the records have its components.
    """
    household = schema.household
    described = records.with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(household).alias("unit_number"),
        pl.len().over(household).cast(pl.Int64).alias("household_units"),
        pl.col(schema.persons).cast(pl.Int64).sum().over(household).alias("household_persons"),
    )
    if not set(schema.household_income) <= set(described.columns):
        return described
    return described.with_columns(
        pl.sum_horizontal(schema.household_income).sum().over(household).alias("household_income")
    )


def weighted_persons(survey: pl.DataFrame, schema: SurveySchema) -> float:
    """Return the number of persons that the survey's records represent, by their own weights."""
    return float((survey[schema.weight] * survey[schema.persons]).sum())
