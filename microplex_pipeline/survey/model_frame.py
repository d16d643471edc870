"""Between a survey's records and what a synthesizer sees: shares for parts, text for categories."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.survey.identities import add_totals
from microplex_pipeline.survey.schema import SurveySchema

SHARE_DIGITS = 3


def model_frame(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Return weight, conditions and, where the records have amounts, the modelled columns.

    Redundant columns are not modelled: of a total only its parts, of a part only its share of the
    whole (0 where the whole is 0), to three digits.
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
    """Return the skeleton's records with the drawn amounts, every identity of the schema kept."""
    records = skeleton.with_columns(drawn.select(schema.model_columns))
    parts = [
        (pl.col(i.share).clip(0, 1) * pl.col(i.whole)).round().cast(pl.Int64).alias(i.part)
        for i in schema.parts
    ]
    records = records.with_columns(parts).drop([i.share for i in schema.parts])
    return add_totals(records, schema)
