"""Official figures beside the file's, for a state, and added up over the states of a year."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.reports.tables import Column, Table, count, percent_change, table
from microplex_pipeline.reports.target_words import in_words
from microplex_pipeline.survey import SurveyWords

NOTABLE = 0.05  # relative difference that is marked, of a figure that is no target


def official_table(official: pl.DataFrame, words: SurveyWords) -> Table:
    """Return the figures of a state; those that are far off and no targets are marked."""
    return _table("Official figures and the file's", official, words, [])


def national_official_table(official: pl.DataFrame, words: SurveyWords) -> Table:
    """Return the figures added up over states, with the number of states that have them."""
    keys = ["entity", "measure", "variable", "domain", "target", "targeted"]
    sums = official.group_by(keys, maintain_order=True).agg(
        pl.col("value").sum(),
        pl.col("achieved").sum(),
        pl.len().alias("states"),
        pl.col("source").unique(maintain_order=True).str.join("; "),
    )
    error = (pl.col("achieved") - pl.col("value")) / pl.max_horizontal(pl.col("value").abs(), 1.0)
    return _table(
        "Sums over the states built, beside the sums of official figures",
        sums.with_columns(error.alias("relative_error")),
        words,
        [Column("states", "States", count)],
    )


def _table(caption: str, rows: pl.DataFrame, words: SurveyWords, more: list[Column]) -> Table:
    columns = [
        Column("in_words", "Figure", beneath="target"),
        *more,
        Column("value", "Official", count),
        Column("achieved", "File", count, "total with the calibrated weights"),
        Column("relative_error", "Difference", percent_change),
        Column("role", "Target?"),
        Column("source", "Source"),
    ]
    rows = rows.with_columns(
        in_words(rows["target"], words),
        pl.when("targeted").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("role"),
    )
    marked = ~pl.col("targeted") & (pl.col("relative_error").abs() > NOTABLE)
    return table(caption, rows, columns, marked)
