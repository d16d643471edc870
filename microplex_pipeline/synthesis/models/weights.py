"""Survey weights: checks, and tempering before they enter a network's likelihood."""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.frames import weight_column


def checked_weights(data: pl.DataFrame, weight_col: str | None) -> np.ndarray:
    """Return the weights of the records, float64 (n,), by the rule of `frames.weight_column`.

    Raises
    ------
    ValueError
        If there are no records; if there is no such column or it is not numeric; if a weight is missing,
        NaN, infinite or negative; or if all are zero.
    """
    if data.is_empty():
        raise ValueError("there are no records: the frame has no rows")
    weight_col = weight_column(data.columns, weight_col)
    if weight_col is None:
        return np.ones(data.height)
    if weight_col not in data.columns:
        raise ValueError(
            f"no column of weights {weight_col!r}: weight_col must name one of the frame's columns "
            f"({', '.join(data.columns)}), or be None for equal weights"
        )
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
                f"(first: row {int(np.argmax(rows))}): correct or drop them"
            )
    if not weights.any():
        raise ValueError(f"weight column {weight_col!r} is zero in every row")
    return weights


def tempered(weights: np.ndarray, power: float) -> np.ndarray:
    """Return weights ** power scaled to mean one, as they enter a network's likelihood.

    With power 1 a few heavy records dominate the gradient; power 0 ignores the design. The square root
    fits held-out weighted records best.
    """
    result = (weights / weights.mean()) ** power
    return result / result.mean()
