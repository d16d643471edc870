"""Design weights: the weights that calibration starts from."""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError


def design_weights(frame: pl.DataFrame, weight_col: str, household_id: str | None) -> np.ndarray:
    """Return the weights of records, or of households by their first record, (n,).

    Raises
    ------
    CalibrationError
        If the column is missing, no number, or not positive everywhere.
    """
    weights = household_values(frame, weight_col, household_id)
    if bad := int((~(np.isfinite(weights) & (weights > 0))).sum()):
        raise CalibrationError(
            f"design weights must be positive: {weight_col!r} is missing, infinite, zero or "
            f"negative in {bad} records. Drop those records first"
        )
    return weights


def household_values(frame: pl.DataFrame, name: str, household_id: str | None) -> np.ndarray:
    """Return a weight column of records, or of households by their first record, NaN where missing."""
    if name not in frame.columns:
        raise CalibrationError(f"the records lack the weight column {name!r}")
    column = frame[name]
    if household_id is not None:
        column = column.filter(frame[household_id].is_first_distinct())
    if not column.dtype.is_numeric():
        raise CalibrationError(f"weight column {name!r} is no number")
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def spread_to_records(
    frame: pl.DataFrame, weights: np.ndarray, household_id: str | None
) -> np.ndarray:
    """Return each record's weight (n,), given those of records or households in order."""
    if household_id is None:
        return weights
    ids = frame[household_id].unique(maintain_order=True)
    position = pl.DataFrame({household_id: ids, "_weight": weights})
    joined = frame.select(household_id).join(
        position, on=household_id, how="left", maintain_order="left"
    )
    return joined["_weight"].to_numpy()
