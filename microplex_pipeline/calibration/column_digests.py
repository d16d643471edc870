"""Digests of columns, by which rows in another order are noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl


def column_digests(frame: pl.DataFrame, names: Iterable[str]) -> dict[str, int]:
    """Return a number for each column that depends on its values and their order.

    Numbers of any type count alike, and so do texts.

    Columns that the frame lacks, and lists, have none.
    """
    return {name: digest(frame[name]) for name in names if _can_be_compared(frame, name)}


def digest(column: pl.Series) -> int:
    """Return the number of one column."""
    hashes = column.cast(pl.Float64 if column.dtype.is_numeric() else pl.String).hash().to_numpy()
    odd = 2 * np.arange(len(hashes), dtype=np.uint64) + 1
    return int((hashes * odd).sum())  # wraps around


def first_differing(frame: pl.DataFrame, known: Mapping[str, Iterable[int]]) -> str | None:
    """Return the first column of a frame that has none of the digests known of it, or None."""
    found = column_digests(frame, known)
    return next((name for name, number in found.items() if number not in known[name]), None)


def _can_be_compared(frame: pl.DataFrame, name: str) -> bool:
    return name in frame.columns and not frame[name].dtype.is_nested()
