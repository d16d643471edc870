"""Completing synthetic records: columns that are drawn or computed after the amounts on which they hang."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from microplex_pipeline.survey.computed import add_computed
from microplex_pipeline.survey.declarations import Drawn
from microplex_pipeline.survey.schema import SurveySchema


def completion_frame(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Return weight, what the later columns are drawn from and, if the records have them, these columns.

    Categorical conditions become text, as in `model_frame`.

    Parameters
    ----------
    records : with the summaries of their households' units, see `SurveySchema.all_units`.
    """
    categorical = [c.name for c in schema.conditions if c.kind == "categorical"]
    columns = [schema.weight, *schema.completion_columns]
    if set(schema.completing_columns) <= set(records.columns):
        columns += schema.completing_columns
    return records.with_columns(pl.col(categorical).cast(pl.String)).select(columns)


def completion_rules(schema: SurveySchema) -> dict[str, str | tuple[str, int]]:
    """Return the structural zeros of the later columns, in the form that the synthesizer expects.

    A household's amount can be non-zero only on its first unit.
    """
    rules: dict[str, str | tuple[str, int]] = dict.fromkeys(
        schema.household_amounts, ("unit_number", 1)
    )
    later = schema.drawn_after.columns
    return rules | {c.name: c.only_where for c in later if c.only_where is not None}


def with_every_column(
    records: pl.DataFrame, drawn: pl.DataFrame, schema: SurveySchema, growth: Mapping[str, float]
) -> pl.DataFrame:
    """Return records with the later columns: caps, steps and repeated amounts kept, formulas computed.

    Parameters
    ----------
    records : records with their amounts, and the columns that are computed from these.
    drawn : the later columns as drawn, one row per record, in its order.
    growth : growth of each amount from the surveyed year to that of the records, from `amount_growth`.
    """
    completed = records.with_columns(drawn.select(schema.completing_columns)).with_columns(
        kept.alias(column.name)
        for column in schema.drawn_after.columns
        if (kept := _bounded(column, growth[column.name])) is not None
    )
    family = [schema.household, schema.family]
    completed = completed.with_columns(
        pl.col(name).first().over(family) for name in schema.family_amounts
    )
    return add_computed(completed, schema.computed)


def _bounded(column: Drawn, growth: float) -> pl.Expr | None:
    """Return a drawn amount on its steps and not above its cap; None if it has neither."""
    value = pl.col(column.name)
    if column.step is not None:
        number = (value / (column.step * growth)).round().clip(1)
        surveyed = (number * column.step).floor()
        value = pl.when(value > 0).then((surveyed * growth).round().cast(pl.Int64)).otherwise(0)
    if column.cap is not None:
        value = pl.min_horizontal(value, pl.lit(round(column.cap * growth), pl.Int64))
    return None if column.step is None and column.cap is None else value
