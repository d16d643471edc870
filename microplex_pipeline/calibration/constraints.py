"""Constraints: targets evaluated on records, as one sparse system A w = b."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration.domains import domain_expression
from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets import Targets, listed

Margins = Mapping[str, Mapping[Any, float]]
MARGIN_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Constraints:
    """The system A w = b.

    Attributes
    ----------
    matrix : (m, n) sparse CSR; row i holds what one unit of each weight adds to target i.
    values : (m,) targets.
    names : one per target.
    """

    matrix: sp.csr_array
    values: np.ndarray
    names: list[str]

    def __post_init__(self) -> None:
        empty = (np.diff(self.matrix.indptr) == 0) & (self.values != 0)
        if empty.any():
            names = [self.names[i] for i in np.flatnonzero(empty)]
            raise CalibrationError(
                f"no record carries: {listed(names)}. Drop the target, widen its domain, or add "
                "records"
            )

    def relative_errors(self, weights: np.ndarray) -> np.ndarray:
        """Return (A w - b) / max(|b|, 1), shape (m,)."""
        return (self.matrix @ weights - self.values) / np.maximum(np.abs(self.values), 1.0)


def build_constraints(
    data: pl.DataFrame, targets: Targets | Margins, household_id: str | None = None
) -> Constraints:
    """Evaluate targets on records.

    Parameters
    ----------
    data : one row per record.
    targets : a long table, or a nested dict {variable: {category: total}}.
    household_id : where given, weights belong to households, in order of first appearance: targets
        of the entity "household" count a household by its first record, all others are summed over
        its records.

    Raises
    ------
    CalibrationError
        See `Targets`; also for a category without record or without target, margins whose totals
        disagree, a column that is missing or holds missing values.
    """
    if not isinstance(targets, (Targets, Mapping)):
        raise CalibrationError(
            "targets must be a dict {variable: {category: total}} or a Targets table, not "
            f"{type(targets).__name__}"
        )
    if not data.height:
        raise CalibrationError("there are no records: the frame is empty")
    if household_id is None:
        if isinstance(targets, Targets) and "household" in targets.table["entity"]:
            raise CalibrationError("targets count households: say which column is household_id")
        columns, n = np.arange(data.height), data.height
        first = np.ones(data.height, bool)
    else:
        if nulls := _require(data, household_id).null_count():
            raise CalibrationError(f"{household_id!r} is missing in {nulls} records")
        columns = data[household_id].rank("dense").to_numpy().astype(np.int64) - 1
        order = data[household_id].unique(maintain_order=True).rank("dense").to_numpy()
        position = np.empty(len(order), np.int64)
        position[order.astype(np.int64) - 1] = np.arange(len(order))
        columns, n = position[columns], len(order)
        first = data[household_id].is_first_distinct().to_numpy()
    if isinstance(targets, Targets):
        coefficients = [_coefficients(data, row, first) for row in targets.table.to_dicts()]
        values, names = targets.table["value"].to_numpy(), targets.names
    else:
        coefficients, values, names = _margin_rows(data, targets)
    rows = np.repeat(np.arange(len(names)), [np.count_nonzero(c) for c in coefficients])
    used = [np.flatnonzero(c) for c in coefficients]
    entries = np.concatenate([c[k] for c, k in zip(coefficients, used, strict=True)])
    matrix = sp.csr_array(
        (entries, (rows, columns[np.concatenate(used)])), shape=(len(names), n), dtype=float
    )
    matrix.sum_duplicates()
    return Constraints(matrix, np.asarray(values, float), names)


def _coefficients(data: pl.DataFrame, target: dict[str, Any], first: np.ndarray) -> np.ndarray:
    """Return what each record adds to one target, (n,)."""
    inside = data.select(
        domain_expression(target["domain"], data.schema).fill_null(False).alias("inside")
    )["inside"]
    mask = np.broadcast_to(inside.to_numpy(), (data.height,))
    if target["entity"] == "household":
        mask = mask & first
    if target["measure"] == "count":
        return mask.astype(float)
    column = _require(data, target["variable"])
    if not column.dtype.is_numeric():
        raise CalibrationError(
            f"target {target['target']} sums column {target['variable']!r}, which is no number"
        )
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    if bad := int((mask & ~np.isfinite(values)).sum()):
        raise CalibrationError(
            f"target {target['target']} sums column {target['variable']!r}, which is missing or "
            f"not finite in {bad} of its records"
        )
    return np.where(mask, values, 0.0)


def _margin_rows(
    data: pl.DataFrame, margins: Margins
) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """Check a nested dict of margins against the data; return coefficients, values and names."""
    if not margins or not all(margins.values()):
        raise CalibrationError("there are no targets: the dict, or one of its margins, is empty")
    coefficients, values, names = [], [], []
    for variable, cells in margins.items():
        column = _require(data, variable)
        if column.dtype == pl.Categorical:
            column = column.cast(pl.String)
        present = {category: i for i, category in enumerate(column.unique().to_list())}
        totals_of = {category: _total(variable, category, v) for category, v in cells.items()}
        if absent := [repr(c) for c, v in totals_of.items() if c not in present and v != 0]:
            raise CalibrationError(
                f"no record has {variable!r} equal to: {listed(absent)} (the column has type "
                f"{column.dtype}, with {listed([repr(c) for c in present])}). Drop the target, or add "
                "records"
            )
        if without := [repr(c) for c in present if c not in cells]:
            raise CalibrationError(
                f"records have categories of {variable!r} that no target names: "
                f"{listed(sorted(without))}. Add their totals, or leave those records out"
            )
        distinct = pl.Series(list(present), dtype=column.dtype)
        codes = column.replace_strict(distinct, list(present.values()), return_dtype=pl.Int64)
        for category, value in totals_of.items():
            coefficients.append((codes.to_numpy() == present.get(category, -1)).astype(float))
            values.append(value)
            names.append(f"{variable}={category}")
    totals = {
        variable: sum(float(v) for v in cells.values()) for variable, cells in margins.items()
    }
    low, high = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    if totals[high] - totals[low] > MARGIN_TOLERANCE * totals[high]:
        shown = ", ".join(f"{variable} {total:,.10g}" for variable, total in totals.items())
        raise CalibrationError(
            f"the margins' totals disagree: {shown}. Each margin covers every record, so all must "
            "add up to the same population: scale them to one total"
        )
    return coefficients, np.array(values), names


def _require(data: pl.DataFrame, name: str) -> pl.Series:
    if name not in data.columns:
        raise CalibrationError(
            f"the records lack column {name!r} (they have {listed(data.columns, 20)})"
        )
    return data[name]


def _total(variable: str, category: Any, value: Any) -> float:
    """Return a target as a number, or say which one is none."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise CalibrationError(
            f"the target of {variable}={category} is no number: {value!r}"
        ) from error
    if not np.isfinite(number) or number < 0:
        raise CalibrationError(
            f"the target of {variable}={category} is negative, NaN or infinite: {number:g}"
        )
    return number
