"""Encoding of columns of several frames as numbers with the same meaning in each frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def as_numbers(frames: Sequence[pl.DataFrame], columns: Sequence[str]) -> list[np.ndarray]:
    """Return the columns of each frame as a float64 array (n, k), with nulls as NaN.

    Numbers are unchanged. Text and categories are replaced by the rank of their value among the sorted
    values of all frames.
    """
    parts: list[list[np.ndarray]] = [[] for _ in frames]
    for name in columns:
        series = [frame[name] for frame in frames]
        if not all(s.dtype.is_numeric() or s.dtype == pl.Boolean for s in series):
            text = [s.cast(pl.String) for s in series]
            values = pl.concat(text).drop_nulls().unique().sort()
            ranks = pl.int_range(len(values), eager=True)
            series = [s.replace_strict(values, ranks, return_dtype=pl.Float64) for s in text]
        for part, s in zip(parts, series, strict=True):
            part.append(s.cast(pl.Float64).fill_null(np.nan).to_numpy())
    return [np.column_stack(part) for part in parts]
