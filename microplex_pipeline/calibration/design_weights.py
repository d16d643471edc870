"""Design weights: the weights from which calibration starts."""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.constraints import Constraints

WEIGHT = "weight"  # column of the results if the design weights are equal


def design_weights(
    frame: pl.DataFrame, weight_col: str | None, household_id: str | None, constraints: Constraints
) -> np.ndarray:
    """Return the design weights of records, or of households by their first record, (n,).

    Parameters
    ----------
    weight_col : column of the weights; None for equal weights of the size that the targets call for.
    constraints : the targets; only used for equal weights.

    Raises
    ------
    CalibrationError
        If the column is missing, is not numeric, or is not positive everywhere; or if none was named
        although there is a column `weight`, which the calibrated weights would replace unused.
    """
    if weight_col is None:
        if WEIGHT in frame.columns:
            raise CalibrationError(
                f"the records have a column {WEIGHT!r}: give weight_col={WEIGHT!r} to start from these "
                "weights, or drop the column to start from equal weights"
            )
        return _equal_weights(constraints)
    weights = household_values(frame, weight_col, household_id)
    if bad := int((~(np.isfinite(weights) & (weights > 0))).sum()):
        raise CalibrationError(
            f"design weights must be positive: {weight_col!r} is missing, infinite, zero or "
            f"negative in {bad} records. Drop those records first"
        )
    return weights


def _equal_weights(constraints: Constraints) -> np.ndarray:
    """Return equal weights (n,): the median over targets of value over the records' own sum."""
    reached = constraints.matrix @ np.ones(constraints.matrix.shape[1])
    usable = (reached > 0) & (constraints.values > 0)
    ratios = constraints.values[usable] / reached[usable]
    level = float(np.median(ratios)) if usable.any() else 1.0
    return np.full(constraints.matrix.shape[1], level)


def require_weight_column(frame: pl.DataFrame, name: str) -> None:
    """Raise CalibrationError if the records lack a weight column."""
    if name not in frame.columns:
        raise CalibrationError(f"the records lack the weight column {name!r}")


def household_values(frame: pl.DataFrame, name: str, household_id: str | None) -> np.ndarray:
    """Return a weight column of records, or of households by their first record, NaN if missing."""
    require_weight_column(frame, name)
    column = frame[name]
    if household_id is not None:
        column = column.filter(frame[household_id].is_first_distinct())
    if not column.dtype.is_numeric():
        raise CalibrationError(f"weight column {name!r} is not numeric")
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def spread_to_records(
    frame: pl.DataFrame, weights: np.ndarray, household_id: str | None
) -> np.ndarray:
    """Return each record's weight (n,), given those of records, or of households in order."""
    if household_id is None:
        return weights
    ids = frame[household_id].unique(maintain_order=True)
    position = pl.DataFrame({household_id: ids, "_weight": weights})
    joined = frame.select(household_id).join(
        position, on=household_id, how="left", maintain_order="left"
    )
    return joined["_weight"].to_numpy()
