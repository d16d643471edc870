"""Margins: targets given as totals of the categories of a column, for one column or more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import narwhals as nw
import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.table import listed
from microplex_pipeline.frames import to_polars

Margins = Mapping[str, Any]
Unequal = Literal["refuse", "rescale"]
MARGIN_TOLERANCE = 1e-9  # largest relative difference between totals that should be equal
LONG = ("variable", "category", "value")


class MarginRows(NamedTuple):
    """Margins on records.

    Attributes
    ----------
    codes : (n, V) the row of each record's category, for each of V columns.
    values : (m,) totals of the categories.
    names : one per row.
    """

    codes: np.ndarray
    values: np.ndarray
    names: list[str]


def plain_margins(targets: Any) -> dict[str, dict[Any, Any]]:
    """Return margins as a nested dict {variable: {category: total}}.

    Parameters
    ----------
    targets : such a dict, in which each margin may also be a pandas series with the categories as its index,
        or a frame of two columns, category and total; or a frame with the columns variable, category
        and value.

    Raises
    ------
    CalibrationError
        If it is something else, or a category is there twice.
    """
    if not isinstance(targets, Mapping):
        frame = _frame(targets)
        if frame is None or not set(LONG) <= set(frame.columns):
            raise CalibrationError(
                "targets must be a dict {variable: {category: total}}, a frame with the columns "
                f"{', '.join(LONG)}, or a Targets table, not {type(targets).__name__}"
            )
        parts = frame.select(LONG).partition_by("variable", maintain_order=True, include_key=True)
        return {
            part["variable"][0]: _cells(part["variable"][0], part.select(LONG[1:]))
            for part in parts
        }
    return {variable: _cells(variable, cells) for variable, cells in targets.items()}


def margin_rows(data: pl.DataFrame, margins: Margins, unequal: Unequal = "refuse") -> MarginRows:
    """Check margins against the records, and return the rows of their constraints.

    Parameters
    ----------
    data : one row per record.
    margins : see `plain_margins`.
    unequal : "rescale" multiplies each margin so that its total is that of the first; "refuse" raises an
        error if the totals differ.

    Raises
    ------
    CalibrationError
        If there are none, a column is missing, a total is no number or negative, a category has no record
        or no target, or totals differ.
    """
    tables = plain_margins(margins)
    if not tables or not all(tables.values()):
        raise CalibrationError("there are no targets: the dict or one of its margins is empty")
    totals = {
        variable: {category: _total(variable, category, v) for category, v in cells.items()}
        for variable, cells in tables.items()
    }
    codes = np.empty((data.height, len(totals)), np.int32)
    names: list[str] = []
    for j, (variable, cells) in enumerate(totals.items()):
        codes[:, j] = len(names) + _codes(data, variable, cells)
        names += [f"{variable}={category}" for category in cells]
    factors = _factors(
        {variable: sum(cells.values()) for variable, cells in totals.items()}, unequal
    )
    values = [factors[variable] * v for variable, cells in totals.items() for v in cells.values()]
    return MarginRows(codes, np.array(values), names)


def _cells(variable: str, cells: Any) -> dict[Any, Any]:
    """Return one margin as a dict {category: total}."""
    if isinstance(cells, Mapping):
        return dict(cells)
    frame = _frame(cells)
    if frame is not None and frame.width == 2:
        pairs = list(frame.iter_rows())
    elif nw.dependencies.is_pandas_series(cells):
        pairs = list(cells.items())
    else:
        raise CalibrationError(
            f"the targets of {variable!r} must be a dict {{category: total}}, a pandas series or a frame of "
            f"two columns, not {cells!r}"
        )
    found = dict(pairs)
    if len(found) < len(pairs):
        categories = [category for category, _ in pairs]
        twice = [repr(c) for c in found if categories.count(c) > 1]
        raise CalibrationError(
            f"the targets of {variable!r} have categories twice: {listed(twice)}"
        )
    return found


def _frame(given: Any) -> pl.DataFrame | None:
    """Return a frame in polars, or None for anything else."""
    try:
        return to_polars(given)
    except TypeError:
        return None


def _codes(data: pl.DataFrame, variable: str, cells: Mapping[Any, float]) -> np.ndarray:
    """Return the position of each record's category among the cells, (n,)."""
    column = the_column(data, variable)
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    present = column.unique().sort()
    categories = present.to_list()
    if absent := [repr(c) for c, v in cells.items() if c not in categories and v != 0]:
        raise CalibrationError(
            f"no record has {variable!r} equal to: {listed(absent)} (the column has type "
            f"{column.dtype}, with {listed([repr(c) for c in categories])}). Drop the target, or add "
            "records"
        )
    if without := [repr(c) for c in categories if c not in cells]:
        raise CalibrationError(
            f"records have categories of {variable!r} that have no target: "
            f"{listed(sorted(without))}. Add their totals, or leave out those records"
        )
    place = {category: k for k, category in enumerate(cells)}
    order = np.array([place[category] for category in categories], np.int32)
    # nulls have no rank, and come first among the categories
    rank = column.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    return order[rank - (0 if column.null_count() else 1)]


def _factors(totals: Mapping[str, float], unequal: Unequal) -> dict[str, float]:
    """Return what each margin is multiplied by, so that all have one total."""
    low, high = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    if totals[high] - totals[low] <= MARGIN_TOLERANCE * totals[high]:
        return dict.fromkeys(totals, 1.0)
    shown = ", ".join(f"{variable} {total:,.10g}" for variable, total in totals.items())
    if unequal == "refuse" or totals[low] == 0:
        raise CalibrationError(
            f"the margins have different totals: {shown}. Each margin covers every record, so all must "
            'add up to the same population: correct them, or set margins="rescale" to multiply each to '
            "the total of the first"
        )
    first = next(iter(totals.values()))
    return {variable: first / total for variable, total in totals.items()}


def the_column(data: pl.DataFrame, name: str) -> pl.Series:
    """Return a column of the records; raise CalibrationError if they lack it."""
    if name not in data.columns:
        raise CalibrationError(
            f"the records lack column {name!r} (they have {listed(data.columns, 20)})"
        )
    return data[name]


def _shown(value: Any) -> str:
    """Return a value for a message, in its first 60 characters."""
    text = (
        f"a whole number of {value.bit_length()} bits" if isinstance(value, int) else repr(value)
    )
    return text if len(text) <= 60 else f"{text[:60]}..."


def _total(variable: str, category: Any, value: Any) -> float:
    """Return a target as a number; raise CalibrationError unless it is finite and not negative."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CalibrationError(
            f"the target of {variable}={category} is not a number: {_shown(value)}"
        ) from error
    if not np.isfinite(number) or number < 0:
        raise CalibrationError(
            f"the target of {variable}={category} is negative, NaN or infinite: {number:g}"
        )
    return number
