"""Accounting identities of a survey: checking that records satisfy them, and computing totals."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.survey.schema import SurveySchema


def broken_identities(records: pl.DataFrame, schema: SurveySchema) -> list[str]:
    """Return one message per identity of the schema that is violated by some records."""
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
    if "unit_number" in records.columns:  # raw records repeat the household's amount on every unit
        for column in schema.household_amounts:
            broken[f"{column} is not zero though unit_number is not 1"] = (pl.col(column) != 0) & (
                pl.col("unit_number") != 1
            )
    counts = records.select(
        expression.sum().alias(message) for message, expression in broken.items()
    ).row(0, named=True)
    return [f"{message} in {count} records" for message, count in counts.items() if count]


def unequal_in_households(records: pl.DataFrame, schema: SurveySchema) -> list[str]:
    """Return one message per household amount that differs between the units of a household."""
    messages = []
    for column in schema.household_amounts:
        values = records.group_by(schema.household).agg(pl.col(column).n_unique())
        if differing := values.filter(pl.col(column) > 1).height:
            messages.append(f"{column} differs between the units of {differing} households")
    return messages


def add_totals(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Compute every total from its parts."""
    return records.with_columns(pl.sum_horizontal(i.parts).alias(i.total) for i in schema.totals)
