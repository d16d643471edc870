"""Official figures beside a file's own totals, whether they are targets or not."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.evaluation.columns import OFFICIAL_COLUMNS
from microplex_pipeline.evaluation.diagnostics import target_errors


def beside_official(
    calibrated: pl.DataFrame,
    targets: pl.DataFrame,
    compared: pl.DataFrame,
    weight: str,
    household_id: str,
) -> pl.DataFrame:
    """Return published figures of a whole state with the file's totals.

    Parameters
    ----------
    calibrated : records with calibrated weights, and the columns that the figures name.
    targets : long table of targets, with `kind` and `source`; of these, published totals are taken.
    compared : figures that are not targets, see `targets.state_targets.given_targets`; may be empty.
    weight, household_id : columns of the weight, and of the household's number.

    Returns
    -------
    One row per figure, with the columns of OFFICIAL_COLUMNS.

    Raises
    ------
    CalibrationError
        If no record contributes to a figure.
    """
    totals = targets.filter(pl.col("kind") == "published", pl.col("domain") == "all")
    columns = ["entity", "measure", "variable", "domain", "value", "source"]
    figures = pl.concat(
        [
            totals.select(*columns, pl.lit(True).alias("targeted")),
            compared.select(*columns, pl.lit(False).alias("targeted")),
        ]
    )
    if figures.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(OFFICIAL_COLUMNS, pl.String))
    errors = target_errors(calibrated, figures, weight, household_id)
    return errors.select(list(OFFICIAL_COLUMNS))
