"""Data frames at the library's edge: polars, pandas or pyarrow in, the same kind out."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import polars as pl


def to_polars(data: Any) -> pl.DataFrame:
    """Return a polars frame of the same columns.

    Raises
    ------
    TypeError
        If `data` is no polars, pandas or pyarrow frame.
    """
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise TypeError(
            f"expected a polars, pandas or pyarrow frame, got {type(data).__name__}"
        ) from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    return frame.to_polars()


def like(original: Any, result: pl.DataFrame) -> Any:
    """Return a polars frame as the kind of frame that `original` is."""
    frame = nw.from_native(original)
    if frame.implementation.is_polars():
        return result.lazy() if isinstance(original, pl.LazyFrame) else result
    columns = nw.from_native(result, eager_only=True).to_dict(as_series=False)
    return nw.from_dict(columns, backend=frame.implementation).to_native()
