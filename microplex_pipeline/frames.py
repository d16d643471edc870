"""Data frames at the library's edge: polars, pandas or pyarrow in, the same kind out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl


def to_polars(data: Any) -> pl.DataFrame:
    """Return a polars frame of the same columns.

    Raises
    ------
    TypeError
        If `data` is no polars, pandas or pyarrow frame.
    ValueError
        If a column's values cannot be held in a column of one type.
    """
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise TypeError(
            f"expected a polars, pandas or pyarrow frame, got {type(data).__name__}"
        ) from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    columns = {}
    for name in frame.columns:
        try:
            columns[name] = frame.select(name).to_polars().get_column(name)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            raise ValueError(f"column {name!r} mixes types: {error}") from error
    return pl.DataFrame(columns)


def with_columns(
    original: Any, columns: Sequence[pl.Series], keep: np.ndarray | None = None
) -> Any:
    """Return the caller's frame with columns added or replaced, everything else as it was.

    Parameters
    ----------
    columns : as many values as the frame has rows, in the same order.
    keep : (n,) which rows to keep; all by default. A pandas index stays with its rows.
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


def _values(column: pl.Series, frame: nw.DataFrame[Any]) -> Any:
    """Return a column's values in the form from which the frame's kind makes a column."""
    if frame.implementation.is_polars():
        return column
    return column.to_arrow() if frame.implementation.is_pyarrow() else column.to_numpy()
