"""Survey weights: checks, and the tempering with which they enter a fit."""

from __future__ import annotations

import numpy as np
import polars as pl


def checked_weights(data: pl.DataFrame, weight_col: str | None) -> np.ndarray:
    """Return the weights of the records, float64 (n,); ones where no column is named.

    Raises
    ------
    ValueError
        If a weight is missing, NaN, infinite or negative, or all are zero.
    """
    if weight_col is None:
        return np.ones(data.height)
    column = data[weight_col]
    if not column.dtype.is_numeric():
        raise ValueError(f"weight column {weight_col!r} has type {column.dtype}, not a number")
    weights = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    faults = {
        "missing or infinite": ~np.isfinite(weights),
        "negative": weights < 0,
    }
    for fault, rows in faults.items():
        if rows.any():
            raise ValueError(
                f"weight column {weight_col!r} is {fault} in {rows.sum()} rows "
                f"(first: row {int(np.argmax(rows))}): repair or drop them"
            )
    if not weights.any():
        raise ValueError(f"weight column {weight_col!r} is zero in every row")
    return weights


def tempered(weights: np.ndarray, power: float) -> np.ndarray:
    """Return weights ** power scaled to mean one, the form in which they enter a network's likelihood.

    A full power lets a few heavy records dominate the gradient, a zero power forgets the design;
    the square root fits held-out weighted records best.
    """
    result = (weights / weights.mean()) ** power
    return result / result.mean()
