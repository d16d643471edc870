"""Tables of a page: columns of a frame with headings and number formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

MINUS, NARROW_SPACE = "\u2212", "\u202f"
EXACT = 1e-9  # relative errors below this are due to rounding


def count(value: float) -> str:
    """Return a number rounded to an integer, with thousands separators."""
    return f"{value:,.0f}".replace("-", MINUS)


def decimals(digits: int) -> Callable[[float], str]:
    """Return a function that formats numbers with a fixed number of decimals."""
    return lambda value: f"{value:,.{digits}f}".replace("-", MINUS)


def percent(value: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * value:.1f}{NARROW_SPACE}%".replace("-", MINUS)


def fine_percent(value: float) -> str:
    """Return a share as a percentage with three decimals, for rare events."""
    return f"{100 * value:.3f}{NARROW_SPACE}%".replace("-", MINUS)


def relative_error(value: float) -> str:
    """Return a relative error as a percentage, in scientific notation if tiny, or as "exact"."""
    if abs(value) < EXACT:
        return "exact"
    sign = "+" if value > 0 else MINUS
    return sign + absolute_error(abs(value))


def absolute_error(value: float) -> str:
    """Return an absolute relative error in the format of `relative_error`, without a sign."""
    if value < EXACT:
        return "exact"
    return f"{value:.0e}" if value < 5e-6 else f"{100 * value:.3f}{NARROW_SPACE}%"


def percent_change(value: float) -> str:
    """Return a relative difference as a percentage with one decimal and its sign, or as "exact"."""
    if abs(value) < EXACT:
        return "exact"
    return ("+" if value > 0 else "") + percent(value)


def percent_points(value: float) -> str:
    """Return a difference of shares in percentage points, with three decimals."""
    return f"{100 * value:.3f}{NARROW_SPACE}pp"


def z_score(value: float) -> str:
    """Return a number of standard errors with its sign."""
    return f"{value:+.1f}".replace("-", MINUS)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : column of the frame.
    label : heading.
    write : formats numbers; None for text.
    title : explanation of the heading, shown as a tooltip.
    beneath : column of the frame shown beneath in small type, e.g. with names in the warehouse.
    error : column of the frame with the number's standard error, shown after it.
    """

    name: str
    label: str
    write: Callable[[float], str] | None = None
    title: str = ""
    beneath: str = ""
    error: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell: its text, its sort key, and optionally a link and a second line."""

    text: str
    key: str
    link: str = ""
    beneath: str = ""


@dataclass(frozen=True)
class Table:
    """A table ready for the template."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    marked: Sequence[
        str
    ]  # class of each row: "marked" if something is wrong, "doubtful", or neither


def table(
    caption: str,
    frame: pl.DataFrame,
    columns: Sequence[Column],
    marked: pl.Expr | None = None,
    doubtful: pl.Expr | None = None,
    links: dict[str, str] | None = None,
) -> Table:
    """Return columns of a frame as a table.

    Parameters
    ----------
    marked, doubtful : boolean expressions for the rows where something is wrong, or may be.
    links : address by text of the first column.
    """
    flags = [""] * frame.height
    for name, rows in (("doubtful", doubtful), ("marked", marked)):
        if rows is not None:
            chosen = frame.select(rows)[:, 0].to_list()
            flags = [name if c else f for c, f in zip(chosen, flags, strict=True)]
    cells = [
        [_cell(row, c, (links or {}) if k == 0 else {}) for k, c in enumerate(columns)]
        for row in frame.to_dicts()
    ]
    return Table(caption, columns, cells, flags)


def _cell(row: Mapping[str, Any], column: Column, links: dict[str, str]) -> Cell:
    value = row[column.name]
    if value is None:
        return Cell("\u2013", "")
    if column.write is None:
        beneath = str(row[column.beneath]) if column.beneath else ""
        return Cell(str(value), str(value), links.get(str(value), ""), beneath)
    text = column.write(value)
    if column.error and row[column.error] is not None:
        text += f" \u00b1{NARROW_SPACE}{column.write(row[column.error])}"
    return Cell(text, repr(float(value)))
