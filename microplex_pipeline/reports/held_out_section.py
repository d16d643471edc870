"""The section on targets that the weights did not see."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.evaluation.held_out import held_out_summary
from microplex_pipeline.reports.tables import Column, Table, count, percent, table
from microplex_pipeline.survey.words import capital


def held_out_table(held_out: pl.DataFrame) -> Table:
    """Return the mean errors of each family of targets when it is held out."""
    summary = held_out_summary(held_out)
    families = pl.Series("family", [capital(name) for name in summary["family"]], pl.String)
    return table(
        "Mean absolute relative error of targets that were held out",
        summary.with_columns(families),
        [
            Column("family", "Held out"),
            Column("targets", "Targets", count),
            Column("synthetic", "Synthetic", percent, "calibrated to all other targets"),
            Column("survey", "Survey", percent, "calibrated to the same targets"),
            Column(
                "uncalibrated", "Uncalibrated", percent, "survey raised to the published persons"
            ),
        ],
    )
