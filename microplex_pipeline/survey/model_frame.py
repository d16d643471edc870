"""Conversion between survey records and a synthesizer's columns: parts as shares, categories as text."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.survey.identities import add_totals
from microplex_pipeline.survey.schema import SurveySchema

SHARE_DIGITS = 3


def model_frame(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Return weight, conditions and, if the records have amounts, the modelled columns.

    Redundant columns are not modelled: a total is replaced by its parts, and a part by its share of the
    whole, rounded to three digits (0 if the whole is 0).
    """
    categorical = [c.name for c in schema.conditions if c.kind == "categorical"]
    frame = records.with_columns(pl.col(categorical).cast(pl.String))
    columns = [schema.weight, *schema.condition_columns]
    if set(schema.target_columns) <= set(records.columns):
        shares = [
            pl.when(pl.col(i.whole) > 0)
            .then((pl.col(i.part) / pl.col(i.whole)).round(SHARE_DIGITS))
            .otherwise(0.0)
            .alias(i.share)
            for i in schema.parts
        ]
        frame = frame.with_columns(shares)
        columns += schema.model_columns
    return frame.select(columns)


def complete_records(
    skeleton: pl.DataFrame, drawn: pl.DataFrame, schema: SurveySchema
) -> pl.DataFrame:
    """Return the skeleton's records with the drawn amounts, satisfying every identity of the schema.

    Parameters
    ----------
    skeleton : records without amounts.
    drawn : modelled columns, one row per record of `skeleton`, in its order.
    """
    records = skeleton.with_columns(drawn.select(schema.model_columns))
    parts = [
        (pl.col(i.share).clip(0, 1) * pl.col(i.whole)).round().cast(pl.Int64).alias(i.part)
        for i in schema.parts
    ]
    records = records.with_columns(parts).drop([i.share for i in schema.parts])
    return add_totals(records, schema)
