"""Figures: the rows of a source's files for one state, as every kind of source reads them."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.sources import (
    ERRORS,
    PERSONS,
    Between,
    Chosen,
    Figures,
    Selection,
)
from microplex_pipeline.calibration.targets.table import listed
from microplex_pipeline.data_files import first_row, in_one_line, read_table

ROUNDING = 0.01  # largest relative difference of parts and their total; 0.2 % in the bundled files
COLUMNS = {
    "geoid": pl.String,
    "state": pl.String,
    "year": pl.Int64,
    "domain": pl.String,
    "value": pl.Float64,
    "source": pl.String,
}
FIGURES = [*COLUMNS, *ERRORS]  # columns of what is read
ROW = "_row"


def read_figures(
    source: Figures, folder: str | Path, file: str, selection: Selection | None = None
) -> pl.DataFrame:
    """Return the rows of a file that a source selects, of all states and years.

    Parameters
    ----------
    selection : instead of the source's own `select`.

    Returns
    -------
    The file's columns, and those of `sources.ERRORS` (null if not given) and `_row`, the row's number.

    Raises
    ------
    DataFileError
        If the file is missing or unusable, or lacks a column that the source names.
    """
    select = source.select if selection is None else selection
    sizes = {c: getattr(source, c) for c in ERRORS if isinstance(getattr(source, c), str)}
    named = dict.fromkeys([*select, *source.leave_out], pl.String)
    columns = {**named, **dict.fromkeys(sizes.values(), pl.Float64), **COLUMNS}
    table = read_table(Path(folder) / file, columns).with_row_index(ROW, first_row(file))
    for column, choice in {**source.leave_out, **select}.items():
        _refuse_words(file, source, table, column, choice)
    precision = [
        (pl.col(sizes[c]) if c in sizes else pl.lit(getattr(source, c), pl.Float64)).alias(c)
        for c in ERRORS
    ]
    return table.with_columns(precision).filter(_chosen(select))


def left_out(source: Figures) -> pl.Expr:
    """Return whether a row is left out."""
    return reduce(lambda a, b: a | b, _each(source.leave_out), pl.lit(False))


def _chosen(selection: Selection) -> pl.Expr:
    return reduce(lambda a, b: a & b, _each(selection), pl.lit(True))


def _each(selection: Selection) -> list[pl.Expr]:
    return [_is(column, choice) for column, choice in selection.items()]


def _is(column: str, choice: Chosen) -> pl.Expr:
    if isinstance(choice, Between):
        number = pl.col(column).cast(pl.Float64, strict=False)
        low = pl.lit(True) if choice.low is None else number >= choice.low
        return (low if choice.high is None else low & (number <= choice.high)).fill_null(False)
    values = [str(v) for v in (choice if isinstance(choice, list) else [choice])]
    return pl.col(column).cast(pl.String).is_in(values).fill_null(False)


def _refuse_words(
    file: str, source: Figures, table: pl.DataFrame, column: str, choice: Chosen
) -> None:
    """Raise CalibrationError if a range is asked of a column that has something else than numbers."""
    if not isinstance(choice, Between):
        return
    text = pl.col(column).cast(pl.String)
    words = table.filter(text.is_not_null() & text.cast(pl.Float64, strict=False).is_null())
    if words.height:
        raise CalibrationError(
            f"{file}: {source.name} selects a range of {column}, but row {words[ROW][0]}, column {column}, "
            f"has {in_one_line(repr(words[column][0]))[:60]}. Select values, or correct the file"
        )


def state_figures(
    source: Figures, folder: str | Path, state: str, year: int
) -> tuple[str, pl.DataFrame] | None:
    """Return the figures of a state and year, and the file that has them; None if no file has the year.

    Raises
    ------
    CalibrationError
        If a file has the year without the state or without a figure that it has of other states, or if a
        figure is unusable.
    """
    for file in source.files:
        selected = read_figures(source, folder, file).filter(pl.col("year") == year)
        kept = selected.filter(~left_out(source))
        rows = kept.filter(pl.col("state") == state)
        what = f"{file}: {source.name}, {state} {year}"
        require_usable(what, rows, source)
        if rows.height:
            _adds_up(what, rows, selected.filter(left_out(source), pl.col("state") == state))
            _complete(what, rows, kept)
            return file, rows
        if kept.height:  # a row is missing from the file: do not replace it by a projection
            raise CalibrationError(
                f"{file} has {source.name} of {year}, but not of {state}. Add the rows; if the file covers "
                f"some states only, name these in the source: `states: [{kept['state'][0]}]`"
            )
    return None


def whole_of(source: Figures, folder: str | Path, file: str, state: str, year: int) -> float:
    """Return the whole of which the source's figures are shares, from the row that `share_of` selects."""
    asked = {**source.select, **source.share_of}
    rows = read_figures(source, folder, file, asked).filter(
        pl.col("year") == year, pl.col("state") == state
    )
    what = f"{file}: the whole of {source.name}, {state} {year}"
    require_usable(what, rows, source)
    if rows.height != 1:
        raise CalibrationError(f"{what}: share_of selects {rows.height} rows, but must select one")
    return float(rows["value"][0])


def require_usable(what: str, rows: pl.DataFrame, source: Figures, by: str = "domain") -> None:
    """Raise CalibrationError unless values are finite, counts not negative, and precisions positive.

    Parameters
    ----------
    what : the file, source and state, for the message.
    by : column that tells the rows apart, for the message.
    """
    counted = source.measure == "count" or source.name == PERSONS
    for row in rows.to_dicts():
        place = f"{row[ROW]}, column"
        value = row["value"]
        if value is None or not abs(value) < float("inf") or (counted and value < 0):
            kind = "a figure of 0 or more" if counted else "a number"
            raise CalibrationError(
                f"{what}, {row[by]}: {value} is not {kind} (row {place} value). Correct it"
            )
        for column in ERRORS:
            size, asked = row[column], getattr(source, column)
            if asked is not None and not (size is not None and 0 < size < float("inf")):
                raise CalibrationError(
                    f"{what}, {row[by]}: the {column} {size} is not above 0 (row {place} {asked}). "
                    "Correct it, or leave the row out"
                )
        if row["domain"] is None:
            raise CalibrationError(
                f"{what}: the domain is missing (row {place} domain). Correct it"
            )


def _complete(what: str, rows: pl.DataFrame, of_all: pl.DataFrame) -> None:
    """Raise CalibrationError if a figure is there twice, or is missing though other states have it."""
    twice = rows.filter(pl.struct("geoid", "domain").is_duplicated())
    if twice.height:
        raise CalibrationError(
            f"{what}, {twice['domain'][0]}: two figures, in rows {twice[ROW][0]} and {twice[ROW][1]}. "
            "Select one of them"
        )
    missing = _missing(rows["domain"], of_all["domain"])
    if missing:
        raise CalibrationError(
            f"{what}: of the {rows.height + len(missing)} figures that other states have, "
            f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing. Add the row, or leave out "
            "the domain"
        )


def _missing(own: pl.Series, of_all: pl.Series) -> list[str]:
    return [str(d) for d in of_all.unique(maintain_order=True) if d not in set(own)]


def _adds_up(what: str, parts: pl.DataFrame, total: pl.DataFrame) -> None:
    """Raise CalibrationError if parts do not add up to their total, if it is left out of the file's rows."""
    total = total.filter(pl.col("domain") == "all")
    if total.height == 1:
        sum_, expected = float(parts["value"].sum()), total["value"][0]
        if expected is None or not abs(sum_ - expected) <= ROUNDING * abs(expected):
            raise CalibrationError(
                f"{what}: the {parts.height} parts add up to {sum_:,.0f}, their total is "
                f"{'missing' if expected is None else format(expected, ',.0f')}: a row is missing, or a "
                "figure is wrong"
            )
