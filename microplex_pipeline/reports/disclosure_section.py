"""The disclosure section of a state's page: each measure beside chance, with a verdict."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.evaluation.disclosure import ABOVE, DISCLOSURE_MEASURES, NO_MORE
from microplex_pipeline.reports.tables import (
    Column,
    Table,
    fine_percent,
    percent_points,
    table,
    z_score,
)


def disclosure_table(disclosure: pl.DataFrame) -> Table:
    """Return the measures; those above chance are marked."""
    columns = [
        Column("share", "Share of", beneath="measure"),
        Column("value", "Synthetic records", fine_percent),
        Column("chance", "By chance", fine_percent),
        Column(
            "standard_error", "Standard error", percent_points, "of the difference from chance"
        ),
        Column("z", "z", z_score, "difference from chance in standard errors"),
        Column("verdict", "Verdict"),
        Column("meaning", "A value above chance would mean that"),
    ]
    share = pl.col("measure").replace(DISCLOSURE_MEASURES).alias("share")
    return table(
        "Disclosure measures compared with chance",
        disclosure.with_columns(share),
        columns,
        pl.col("verdict") == ABOVE,
        ~pl.col("verdict").is_in([NO_MORE, ABOVE]),
    )
