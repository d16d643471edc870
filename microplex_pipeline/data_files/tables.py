"""Tables: CSV files, packed by gzip or not, and Parquet files, with numbers where numbers belong.

A CSV file is comma-separated, with a header and as many fields in every row.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from io import StringIO
from itertools import islice
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files.errors import (
    DataFileError,
    Unusable,
    in_one_line,
    lacking,
    reading,
)
from microplex_pipeline.data_files.limits import CSV_BYTES, CSV_COLUMNS, MIB
from microplex_pipeline.data_files.opening import content
from microplex_pipeline.data_files.parquet import parquet_types, read_rows, refuse_nested
from microplex_pipeline.data_files.text import decoded

Dtype = type[pl.DataType]
SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}
CHUNK = 20_000  # rows that are held as Python objects at once
REMEMBERED_BYTES = 4 * MIB  # a larger file is parsed anew every time
GZIP = 16 + zlib.MAX_WBITS
NUMBERS: dict[Dtype, str] = {pl.Int64: "a whole number", pl.Float64: "a number"}


def read_table(
    path: Path, columns: Mapping[str, Dtype], others: Dtype = pl.String
) -> pl.DataFrame:
    """Read a CSV file (also .csv.gz) or Parquet file that must have some columns and may have others.

    Parameters
    ----------
    columns : the columns with their types: pl.String, pl.Int64 or pl.Float64. Empty fields are null.
    others : type of all other columns.

    Raises
    ------
    DataFileError
        If the file is missing or damaged, is not in UTF-8 with commas, lacks a column, has no rows, or has
        a row or value that does not fit.
    """
    with reading(path, f"file {path.name}", DataFileError):
        if path.suffix == ".parquet":
            table, first = _of_parquet(path, columns), 1
        else:
            packed = content(path, CSV_BYTES)
            parsed = _remembered if len(packed) <= REMEMBERED_BYTES else _parsed
            table, first = parsed(packed, path.suffix == ".gz", tuple(columns)), 2
        return table.select(_typed(table[c], columns.get(c, others), first) for c in table.columns)


def first_row(name: str) -> int:
    """Return the number of a file's first row of data: spreadsheets count the header of a CSV file."""
    return 1 if name.endswith(".parquet") else 2


def _of_parquet(path: Path, required: Iterable[str]) -> pl.DataFrame:
    """Return the columns of a Parquet file as they are."""
    types = parquet_types(path)
    if missing := [c for c in required if c not in types]:
        raise lacking(missing)
    refuse_nested(types, types)
    table = read_rows(path, list(types))
    if table.is_empty():
        raise Unusable("has no rows", "Restore it")
    return table


def _unpacked(packed: bytes) -> bytes:
    """Return what gzip packed, up to the size that is read of a CSV file."""
    found = b""
    while packed:
        unpack = zlib.decompressobj(wbits=GZIP)
        try:
            found += unpack.decompress(packed, CSV_BYTES + 1 - len(found))
        except zlib.error as fault:
            message = in_one_line(str(fault))
            raise Unusable(f"is damaged: {message}", "Restore it or copy it again") from fault
        if len(found) > CSV_BYTES:
            raise Unusable(
                f"unpacks to more than the {CSV_BYTES // MIB} MB that are read",
                "Check that it is the right file",
            )
        if not unpack.eof:
            raise Unusable("is truncated: the packed data have no end", "Copy it again")
        packed = unpack.unused_data
    return found


def _parsed(packed: bytes, gzip: bool, required: tuple[str, ...]) -> pl.DataFrame:
    """Return the columns of a CSV file's bytes, all as text."""
    text = decoded(_unpacked(packed) if gzip else packed)
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


# a state's targets are computed for several assets and checks, from the same few files
_remembered = lru_cache(maxsize=16)(_parsed)


def _checked(header: list[str], required: Iterable[str]) -> list[str]:
    """Return the names of the columns, or raise Unusable."""
    missing = [c for c in required if c not in header]
    if missing and len(header) == 1:
        for separator, name in SEPARATORS.items():
            if separator in header[0]:
                raise Unusable(f"has columns separated by {name}", "Save it with commas")
    if missing:
        raise lacking(missing)
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


def _typed(column: pl.Series, dtype: Dtype, first: int) -> pl.Series:
    """Return a column with the given type, or raise Unusable for the first value that has not."""
    if dtype == pl.String:
        return column.cast(pl.String)
    text = column.str.strip_chars(" ") if column.dtype == pl.String else column
    typed = text.cast(dtype, strict=False)
    unfit = typed.is_null() & column.is_not_null()
    if column.dtype.is_float() and dtype == pl.Int64:
        unfit |= (column != typed.cast(pl.Float64)).fill_null(False)
    wrong = unfit.arg_max()
    if unfit.any() and wrong is not None:
        raise Unusable(
            f"has {in_one_line(repr(column[wrong])[:60])} in row {wrong + first}, column {column.name}: it "
            f"must be {NUMBERS[dtype]}",
            "Correct it",
        )
    return typed
