"""CSV files: comma-separated, a header, as many fields in every row, numbers where numbers belong."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from io import StringIO
from itertools import islice
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files.errors import DataFileError, Unusable, in_one_line, reading
from microplex_pipeline.data_files.limits import CSV_BYTES, CSV_COLUMNS
from microplex_pipeline.data_files.opening import content
from microplex_pipeline.data_files.text import decoded

Dtype = type[pl.DataType]
SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}
CHUNK = 20_000  # rows that are held as Python objects at once
NUMBERS: dict[Dtype, str] = {pl.Int64: "a whole number", pl.Float64: "a number"}


def read_table(
    path: Path, columns: Mapping[str, Dtype], others: Dtype = pl.String
) -> pl.DataFrame:
    """Read a CSV file that must have the given columns and may have others.

    Parameters
    ----------
    columns : the columns with their types: pl.String, pl.Int64 or pl.Float64. Empty fields are null.
    others : type of all other columns.

    Raises
    ------
    DataFileError
        If the file is missing, is not a CSV file in UTF-8 with commas, lacks a column, has no rows, or has
        a row or value that does not fit.
    """
    with reading(path, f"file {path.name}", DataFileError):
        table = _as_text(decoded(content(path, CSV_BYTES)), columns)
        return table.select(_typed(table[c], columns.get(c, others)) for c in table.columns)


def _as_text(text: str, required: Iterable[str]) -> pl.DataFrame:
    """Return all columns as text."""
    if not text.strip():
        raise Unusable("is empty", "Restore it")
    rows = csv.reader(StringIO(text, newline=""), strict=True)
    frames: list[pl.DataFrame] = []
    try:
        header = _checked(next(rows), required)
        while chunk := list(islice(rows, CHUNK)):
            frames.append(_frame(chunk, header, first=2 + CHUNK * len(frames)))
    except csv.Error as fault:
        raise Unusable(
            f"is not a CSV file: {fault}, line {rows.line_num}", "Check its quotation marks"
        ) from fault
    if not frames:
        raise Unusable("has a header, but no rows", "Restore it")
    return pl.concat(frames)


def _checked(header: list[str], required: Iterable[str]) -> list[str]:
    """Return the names of the columns, or raise Unusable."""
    missing = [c for c in required if c not in header]
    if missing and len(header) == 1:
        for separator, name in SEPARATORS.items():
            if separator in header[0]:
                raise Unusable(f"has columns separated by {name}", "Save it with commas")
    if missing:
        raise Unusable(f"lacks columns: {', '.join(missing)}", "Add them")
    if len(header) > CSV_COLUMNS:
        raise Unusable(
            f"has {len(header):,} columns, more than the {CSV_COLUMNS:,} that are read",
            "Check that it is the right file",
        )
    if repeated := [c for c in header if header.count(c) > 1]:
        raise Unusable(f"has the column {in_one_line(repeated[0])!r} twice", "Rename one of them")
    return header


def _frame(rows: list[list[str]], header: list[str], first: int) -> pl.DataFrame:
    """Return rows as columns of text; `first` is the number of the first one, the header being row 1."""
    width = len(header)
    for number, row in enumerate(rows, first):
        if len(row) != width:
            if row:
                raise Unusable(
                    f"has {len(row)} fields in row {number}, but {width} in the header",
                    "Correct it",
                )
            row.extend([""] * width)  # an empty line
    columns = zip(*rows, strict=True)
    return pl.DataFrame(
        {
            name: [field or None for field in fields]
            for name, fields in zip(header, columns, strict=True)
        },
        schema=dict.fromkeys(header, pl.String),
    )


def _typed(column: pl.Series, dtype: Dtype) -> pl.Series:
    """Return a column of text with the given type, or raise Unusable for the first value that has not."""
    if dtype == pl.String:
        return column
    typed = column.str.strip_chars(" ").cast(dtype, strict=False)
    wrong = (typed.is_null() & column.is_not_null()).arg_max()
    if typed.null_count() > column.null_count() and wrong is not None:
        raise Unusable(
            f"has {in_one_line(repr(column[wrong])[:60])} in row {wrong + 2}, column {column.name}: it "
            f"must be {NUMBERS[dtype]}",
            "Correct it",
        )
    return typed
