"""Identities of a survey: whether records keep them, and making drawn records keep them."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.survey.schema import SurveySchema


def broken_identities(records: pl.DataFrame, schema: SurveySchema) -> list[str]:
    """Return one sentence per identity of the schema that some records break."""
    broken = {
        f"{i.total} is not the sum of {' and '.join(i.parts)}": pl.col(i.total)
        != pl.sum_horizontal(pl.col(p).cast(pl.Int64) for p in i.parts)
        for i in schema.totals
    }
    broken |= {
        f"{i.part} is above {i.whole}": pl.col(i.part) > pl.col(i.whole) for i in schema.parts
    }
    for identity in schema.zero_unless:
        for column in identity.columns:
            broken[f"{column} is not zero though {identity.column} is not {identity.equals}"] = (
                pl.col(column) != 0
            ) & (pl.col(identity.column) != identity.equals)
    counts = records.select(
        expression.sum().alias(sentence) for sentence, expression in broken.items()
    ).row(0, named=True)
    return [f"{sentence} in {count} records" for sentence, count in counts.items() if count]


def impose_zeros(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Set to zero what must be zero, among the columns that are there."""
    changes = {}
    for identity in schema.zero_unless:
        holds = pl.col(identity.column) == identity.equals
        for column in identity.columns:
            if column in records.columns:
                changes[column] = pl.when(holds).then(pl.col(column)).otherwise(0)
    return records.with_columns(**changes)


def add_totals(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Compute every total from its parts."""
    return records.with_columns(pl.sum_horizontal(i.parts).alias(i.total) for i in schema.totals)
