"""Columns that are computed from others, as the schema declares."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from microplex_pipeline.survey.declarations import Computed

TOLERANCE = 1e-9  # a sum that is a whole number but for rounding is not rounded down


def add_computed(records: pl.DataFrame, columns: Iterable[Computed]) -> pl.DataFrame:
    """Compute the columns one after the other; those that the records have are kept."""
    for column in columns:
        if column.name not in records.columns:
            records = records.with_columns(_expression(column).alias(column.name))
    return records


def _expression(column: Computed) -> pl.Expr:
    total = pl.sum_horizontal(
        pl.col(name) * (int(factor) if factor == int(factor) else factor)
        for name, factor in column.terms.items()
    )
    if column.edges:
        return pl.sum_horizontal((total >= edge).cast(pl.Int64) for edge in column.edges)
    return (total + TOLERANCE).floor().cast(pl.Int64)
