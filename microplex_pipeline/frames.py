"""Callers' data frames: polars, pandas or pyarrow in, the same kind out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

WEIGHT = "weight"  # column of weights by default


def to_polars(data: Any) -> pl.DataFrame:
    """Return a polars frame with the same columns.

    Parameters
    ----------
    data : polars frame (eager or lazy), pandas frame or pyarrow table.

    Raises
    ------
    TypeError
        If `data` is not such a frame.
    ValueError
        If a column mixes types.
    """
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise TypeError(
            f"expected a polars, pandas or pyarrow frame, got {type(data).__name__}"
        ) from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if frame.implementation.is_polars():
        return frame.to_polars()
    columns = {}
    for name in frame.columns:
        try:
            columns[name] = frame.select(name).to_polars().get_column(name)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            raise ValueError(f"column {name!r} mixes types: {error}") from error
    return pl.DataFrame(columns)


def weight_column(columns: Sequence[str], weight_col: str | None) -> str | None:
    """Return the column of weights that estimators use, or None for equal weights.

    Estimators have one rule: by default the column `weight` is used if there is one, and weights are equal if
    not; another column must exist; None asks for equal weights, with a warning if there is a column `weight`.

    Parameters
    ----------
    columns : of the frame.
    weight_col : as given to `fit`.
    """
    if weight_col is None and WEIGHT in columns:
        warnings.warn(
            f"weights are equal, because weight_col is None: the frame's column {WEIGHT!r} is not used",
            UserWarning,
            stacklevel=3,
        )
    return None if weight_col == WEIGHT and WEIGHT not in columns else weight_col


def with_columns(
    original: Any, columns: Sequence[pl.Series], keep: np.ndarray | None = None
) -> Any:
    """Return the caller's frame with columns added or replaced, and everything else unchanged.

    Parameters
    ----------
    original : frame of n rows, see `to_polars`.
    columns : series of n values, in the order of the rows.
    keep : (n,) which rows to keep; None for all. A pandas index stays with its rows.

    Returns
    -------
    A frame of the caller's kind.
    """
    frame = nw.from_native(original)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect(backend="polars")
    added = [
        nw.new_series(c.name, _values(c, frame), backend=frame.implementation) for c in columns
    ]
    if frame.implementation.is_pandas():
        index = nw.maybe_get_index(frame)
        added = [nw.maybe_set_index(series, index=index) for series in added]
    frame = frame.with_columns(*added)
    if keep is not None:
        frame = frame.filter(keep.tolist())
    native = frame.to_native()
    return native.lazy() if isinstance(original, pl.LazyFrame) else native


def empty_like(original: Any) -> Any:
    """Return a frame without rows, of the kind of `original`: it says the kind, and holds no data."""
    if isinstance(original, pl.LazyFrame):
        return pl.LazyFrame()
    return nw.from_native(original).head(0).to_native()


def like(original: Any, frame: pl.DataFrame) -> Any:
    """Return a polars frame as a frame of the kind of `original`, see `to_polars`."""
    if isinstance(original, pl.LazyFrame):
        return frame.lazy()
    kind = nw.from_native(original).implementation
    if kind.is_pandas():
        return frame.to_pandas()
    return frame.to_arrow() if kind.is_pyarrow() else frame


def _values(column: pl.Series, frame: nw.DataFrame[Any]) -> Any:
    """Return a column's values in a form that the caller's data-frame library accepts."""
    if frame.implementation.is_polars():
        return column
    return column.to_arrow() if frame.implementation.is_pyarrow() else column.to_numpy()
