"""Design weights: the weights from which calibration starts."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.constraints import Constraints

LARGEST_FALL = 100.0  # factor by which the sum of weights may fall before a word is said


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
        If the column is missing, is not numeric, is missing, infinite or negative in some records, or is zero
        in all.
    """
    if weight_col is None:
        return _equal_weights(constraints)
    weights = household_values(frame, weight_col, household_id)
    if bad := int((~(np.isfinite(weights) & (weights >= 0))).sum()):
        raise CalibrationError(
            f"design weights must be numbers of 0 or more: {weight_col!r} is missing, infinite or "
            f"negative in {bad} records. Correct them, or drop those records first"
        )
    if not weights.any():
        raise CalibrationError(f"design weights {weight_col!r} are zero in all records")
    return weights


def with_weight(design: np.ndarray) -> np.ndarray:
    """Return the positions of positive design weights; warn if there are others, which stay zero."""
    live = np.flatnonzero(design)
    if zeros := len(design) - len(live):
        warnings.warn(
            f"{zeros:,} of {len(design):,} records or households have a design weight of zero, and keep it",
            UserWarning,
            stacklevel=3,
        )
    return live


def warn_of_scale(before: float, after: float) -> None:
    """Warn if the sum of weights falls so much that the targets look like shares.

    Parameters
    ----------
    before : sum of the design weights, or the number of records if there are none.
    after : sum of the calibrated weights.
    """
    if after * LARGEST_FALL < before:
        warnings.warn(
            f"the targets take the sum of weights from {before:,.6g} to {after:,.6g}: if they are shares, "
            "multiply them by the population",
            UserWarning,
            stacklevel=3,
        )


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
