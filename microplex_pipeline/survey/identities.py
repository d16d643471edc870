"""Identities of a survey: whether records keep them, and totals from their parts."""

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
    if "unit_number" in records.columns:  # the source's records repeat the household's amount
        for column in schema.household_amounts:
            broken[f"{column} is not zero though unit_number is not 1"] = (pl.col(column) != 0) & (
                pl.col("unit_number") != 1
            )
    counts = records.select(
        expression.sum().alias(sentence) for sentence, expression in broken.items()
    ).row(0, named=True)
    return [f"{sentence} in {count} records" for sentence, count in counts.items() if count]


def unequal_in_households(records: pl.DataFrame, schema: SurveySchema) -> list[str]:
    """Return one sentence per household amount that differs between units of some households."""
    sentences = []
    for column in schema.household_amounts:
        values = records.group_by(schema.household).agg(pl.col(column).n_unique())
        if differing := values.filter(pl.col(column) > 1).height:
            sentences.append(f"{column} differs between the units of {differing} households")
    return sentences


def add_totals(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Compute every total from its parts."""
    return records.with_columns(pl.sum_horizontal(i.parts).alias(i.total) for i in schema.totals)
