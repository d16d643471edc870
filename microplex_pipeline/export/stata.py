"""Writing frames as Stata files (format 118, Stata 14 and later), with variable and value labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyreadstat

FORMAT = 14  # pyreadstat's name for format 118
NAME_LENGTH = 32
LABEL_LENGTH = 80
TEXT_BYTES = 2045  # longer text would need strL variables, which are not written
LONG = (-2_147_483_647, 2_147_483_620)
EXACT = 2**53  # a double is exact for integers up to this one


class NotForStata(ValueError):
    """A column that Stata's format cannot hold."""


def write_stata(
    frame: pl.DataFrame,
    path: Path,
    title: str,
    descriptions: Mapping[str, str],
    labels: Mapping[str, Mapping[int, str]],
) -> None:
    """Write a frame, with nulls as missing values.

    Integers become long, or double if they do not fit; Booleans become byte.

    Parameters
    ----------
    title : label of the file, cut to 80 characters.
    descriptions : variable labels by column, cut to 80 characters.
    labels : value labels by coded column.

    Raises
    ------
    NotForStata
        If the format cannot hold a column's values or its name.
    """
    names = stata_names(frame.columns)
    columns = [_fitting(series).alias(names[series.name]) for series in frame]
    try:
        pyreadstat.write_dta(
            pl.DataFrame(columns),
            path,
            file_label=_cut(title),
            column_labels=[_cut(descriptions.get(name, "")) for name in frame.columns],
            version=FORMAT,
            variable_value_labels={
                names[name]: dict(codes) for name, codes in labels.items() if name in names
            },
        )
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError) as error:
        raise NotForStata(
            f"Stata refuses one of the names {', '.join(names.values())}: {error}. Export the table as "
            "Parquet or CSV"
        ) from error


def stata_names(columns: list[str]) -> dict[str, str]:
    """Return each column's name in Stata: unchanged, or cut to 32 characters and made unique."""
    names: dict[str, str] = {c: c for c in columns if len(c) <= NAME_LENGTH}
    for column in columns:
        if column not in names:
            short, number = column[:NAME_LENGTH], 1
            while short in names.values():
                number += 1
                short = f"{column[: NAME_LENGTH - len(str(number)) - 1]}_{number}"
            names[column] = short
    return names


def _fitting(series: pl.Series) -> pl.Series:
    """Return a column cast to a type that Stata has."""
    dtype = series.dtype
    if dtype == pl.Boolean:
        return series.cast(pl.Int8)
    if dtype.is_integer():
        low, high = series.min(), series.max()
        if low is None or (int(low) >= LONG[0] and int(high) <= LONG[1]):  # type: ignore[arg-type]
            return series.cast(pl.Int32)
        if max(-int(low), int(high)) <= EXACT:  # type: ignore[arg-type]
            return series.cast(pl.Float64)
        raise _unfit(series, "has whole numbers beyond 2**53, which Stata would round")
    if dtype.is_float():
        if series.is_infinite().any():
            raise _unfit(series, "has infinite values, which Stata does not have")
        return series
    if dtype == pl.String:
        if int(series.str.len_bytes().max() or 0) > TEXT_BYTES:  # type: ignore[arg-type]
            raise _unfit(series, f"has texts longer than {TEXT_BYTES} bytes")
        return series
    raise _unfit(series, f"is of type {dtype}, which Stata does not have")


def _unfit(series: pl.Series, fault: str) -> NotForStata:
    return NotForStata(f"{series.name} {fault}. Export the table as Parquet or CSV")


def _cut(text: str) -> str:
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 1]}…"
