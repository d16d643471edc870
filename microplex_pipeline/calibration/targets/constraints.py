"""Constraints: targets evaluated on records, as one sparse system A w = b."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import CalibrationError, InfeasibleTargets
from microplex_pipeline.calibration.targets.constraint_rows import Entries, table_rows
from microplex_pipeline.calibration.targets.domains import domain_parts
from microplex_pipeline.calibration.targets.margins import (
    MarginRows,
    Margins,
    Unequal,
    margin_rows,
    plain_margins,
    the_column,
)
from microplex_pipeline.calibration.targets.precision import Precision
from microplex_pipeline.calibration.targets.table import Targets, listed

# what records may be called where households or other entities are numbered, too
RECORDS = ("person", "tax_unit", "record", "unit")


@dataclass(frozen=True)
class Constraints:
    """The system A w = b.

    Attributes
    ----------
    matrix : (m, n) sparse CSR; row i holds the contribution of one unit of each weight to target i.
    values : (m,) targets; zero for a mean or ratio, whose row is numerator - value * denominator.
    names : one per target.
    denominators : (m, n) sparse CSR, denominators of means and ratios; rows of totals are empty.
    asked : (m,) values as given, which differ from `values` for means and ratios.
    precision : how precisely each target is met if targets are soft, in units of `asked`; None if exactly.

    Raises
    ------
    CalibrationError
        If no record contributes to a target that is not zero.
    """

    matrix: sp.csr_array
    values: np.ndarray
    names: list[str]
    denominators: sp.csr_array | None = None
    asked: np.ndarray | None = None
    precision: Precision | None = None

    def __post_init__(self) -> None:
        self.matrix.sort_indices()
        asked = self.values if self.asked is None else self.asked
        carried = np.diff(self.matrix.indptr) > 0
        if self.denominators is not None:  # no entries remain if all records equal the mean
            carried |= np.diff(self.denominators.indptr) > 0
        empty = ~carried & (asked != 0)
        if empty.any():
            names = [self.names[i] for i in np.flatnonzero(empty)]
            raise CalibrationError(
                f"no record contributes to: {listed(names)}. Drop the target, widen its domain, or "
                "add records"
            )

    def only(self, rows: np.ndarray) -> Constraints:
        """Return the constraints of some rows, by position or (m,) bool."""
        keep = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Constraints(
            sp.csr_array(self.matrix[keep]), self.values[keep], [self.names[i] for i in keep],
            None if self.denominators is None else sp.csr_array(self.denominators[keep]),
            None if self.asked is None else self.asked[keep],
            None if self.precision is None else self.precision.at(keep),
        )  # fmt: skip

    def of(self, weights: np.ndarray) -> Constraints:
        """Return the constraints on some of the weights, given their positions."""
        below = self.denominators
        return Constraints(
            sp.csr_array(self.matrix[:, weights]), self.values, self.names,
            None if below is None else sp.csr_array(below[:, weights]), self.asked, self.precision,
        )  # fmt: skip

    def achieved(self, weights: np.ndarray) -> np.ndarray:
        """Return the totals, means and ratios (m,) under weights (n,)."""
        totals = self.matrix @ weights
        if self.denominators is None or self.asked is None:
            return totals
        below = self.denominators @ weights
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.ratios, totals / below + self.asked, totals)

    @property
    def ratios(self) -> np.ndarray:
        """Which rows are means or ratios, (m,)."""
        if self.denominators is None:
            return np.zeros(len(self.values), bool)
        return np.diff(self.denominators.indptr) > 0

    def row_precision(self, design: np.ndarray) -> Precision:
        """Return how precisely each row of A w = b is met, with standard errors in units of the row.

        Those of means and ratios are taken at design weights (n,). Limits stay in units of `asked`.
        """
        precision = self.precision or Precision.exact(len(self.values))
        return replace(
            precision, standard_errors=precision.standard_errors * self.row_units(design)
        )

    def row_units(self, design: np.ndarray) -> np.ndarray:
        """Return what one unit of `asked` is in each row, (m,): for means and ratios the denominator."""
        if self.denominators is None:
            return np.ones(len(self.values))
        return np.where(self.ratios, abs(self.denominators) @ design, 1.0)

    def sizes(self, weights: np.ndarray) -> np.ndarray:
        """Return the unit of each row's relative error, (m,), at weights (n,).

        This is |value|, and 1 for a target of zero. If positive and negative amounts cancel, it is at
        least 1, unless the row's gross amount is far smaller. For means and ratios it is |value| times
        the denominator.
        """
        size = np.abs(self.values)
        if self.denominators is not None and self.asked is not None:
            size = size + np.abs(self.asked * (self.denominators @ weights)) * self.ratios
        gross = abs(self.matrix) @ np.abs(weights)
        small = np.minimum(1.0, np.maximum(1e-3 * gross, 1e-300))
        # if nothing cancels, even a small total is precise relative to its own size
        alone = (size > 0) & (abs(self.matrix.sum(axis=1)) >= 0.999 * abs(self.matrix).sum(axis=1))
        return np.where(size == 0, 1.0, np.where(alone, size, np.maximum(size, small)))

    def relative_errors(self, weights: np.ndarray) -> np.ndarray:
        """Return (A w - b) over `sizes`, shape (m,)."""
        return (self.matrix @ weights - self.values) / self.sizes(weights)


def build_constraints(
    data: pl.DataFrame,
    targets: Targets | Margins,
    household_id: str | None = None,
    entity_ids: Mapping[str, str] | None = None,
    margins: Unequal = "refuse",
) -> Constraints:
    """Evaluate targets on records.

    Parameters
    ----------
    data : one row per record.
    targets : a long table, or margins, see `calibration.targets.margins`.
    household_id : column of household numbers. If given, weights belong to households, in order of first
        appearance.
    entity_ids : columns that number other entities, e.g. {"tax_unit": "tax_unit_id"} if records are
        persons. Targets of these entities, and of "household", count each once, by its first record;
        targets of "person", "tax_unit", "record" and "unit" are summed over records. Without households
        and other entities, any name stands for the records.
    margins : "rescale" multiplies margins so that all have the total of the first; "refuse" raises an error
        if they differ.

    Raises
    ------
    CalibrationError
        As `Constraints`; also if there are no records, a category has no record or no target, margins
        have different totals, or a column is missing or has missing values.
    InfeasibleTargets
        If a mean or ratio lies outside the range of its records.
    """
    if not data.height:
        raise CalibrationError("there are no records: the frame is empty")
    if household_id is None:
        weight_of, n = np.arange(data.height), data.height
    else:
        weight_of = _numbered(data, household_id)
        n = int(weight_of.max()) + 1
    if not isinstance(targets, Targets):
        rows = margin_rows(data, targets, margins)
        return Constraints(_margin_matrix(rows, weight_of, n), rows.values, rows.names)
    ids = dict(entity_ids or {}) | ({"household": household_id} if household_id else {})
    return _table_constraints(data, targets, ids, weight_of, n)


def _table_constraints(
    data: pl.DataFrame, targets: Targets, ids: dict[str, str], weight_of: np.ndarray, n: int
) -> Constraints:
    """Evaluate a long table on records whose weights are at positions `weight_of` among n.

    Parameters
    ----------
    ids : per counted entity, the column that numbers it.
    """
    if "household" in targets.table["entity"] and "household" not in ids:
        raise CalibrationError(
            "targets count households: pass the column of household numbers as household_id"
        )
    if ids:
        _check_entities(targets, ids)
    firsts = {}
    for entity, column in ids.items():
        _numbered(data, column)  # raises if an id is missing
        firsts[entity] = data[column].is_first_distinct().to_numpy()
    numerators, denominators = table_rows(data, targets, firsts)
    above, below = _matrix(numerators, weight_of, n), _matrix(denominators, weight_of, n)
    asked = targets.table["value"].to_numpy()
    ratios = targets.table["measure"].is_in(["mean", "ratio"]).to_numpy()
    matrix = above - sp.csr_array(sp.diags_array(np.where(ratios, asked, 0.0)) @ below)
    _drop_rounding(matrix, above)
    _refuse_unreachable(matrix, below, ratios, targets)
    return Constraints(
        sp.csr_array(matrix), np.where(ratios, 0.0, asked), targets.names,
        below if ratios.any() else None, asked, targets.precision(),
    )  # fmt: skip


def _check_entities(targets: Targets, ids: Mapping[str, str]) -> None:
    """Raise CalibrationError if a target counts what neither a column numbers nor the records are."""
    known = [*RECORDS, *ids]
    unknown = targets.table.filter(~pl.col("entity").is_in(known))
    if unknown.height:
        raise CalibrationError(
            f"targets of an unknown entity: {listed(unknown['target'].to_list())}. Entities are "
            f"{', '.join(known)}; give the column that numbers another one, e.g. "
            f"entity_ids={{{unknown['entity'][0]!r}: ...}}"
        )


def _margin_matrix(rows: MarginRows, weight_of: np.ndarray, n: int) -> sp.csr_array:
    """Return the rows of margins as a sparse matrix (m, n) over weights."""
    records, variables = rows.codes.shape
    ones = np.ones(records * variables)
    if n == records:  # one column per record, in order
        starts = np.arange(records + 1, dtype=np.int32) * variables
        by_record = sp.csc_array((ones, rows.codes.ravel(), starts), (len(rows.names), n))
        return sp.csr_array(by_record)
    matrix = sp.csr_array(
        (ones, (rows.codes.ravel(), np.repeat(weight_of, variables))), (len(rows.names), n)
    )
    matrix.sum_duplicates()
    return matrix


def columns_of(targets: Targets | Margins) -> list[str]:
    """Return the columns that targets name, in order."""
    if not isinstance(targets, Targets):
        return list(plain_margins(targets))
    table = targets.table
    domains = [*table["domain"], *(table["geography"] if "geography" in table.columns else [])]
    named = [column for domain in domains for column, _ in domain_parts(domain)]
    summed = table.filter(pl.col("measure") != "count")["variable"]
    named += [part.strip() for variable in summed for part in variable.split("/")]
    return list(dict.fromkeys(named))


def _drop_rounding(matrix: sp.csr_array, numerators: sp.csr_array) -> None:
    """Remove entries that are zero up to rounding, e.g. where a record equals the mean."""
    largest = abs(numerators).max(axis=1).toarray().ravel()
    noise = 1e-13 * np.repeat(largest, np.diff(matrix.indptr))
    matrix.data[np.abs(matrix.data) <= noise] = 0.0
    matrix.eliminate_zeros()


def _refuse_unreachable(
    matrix: sp.csr_array, denominators: sp.csr_array, ratios: np.ndarray, targets: Targets
) -> None:
    """Raise InfeasibleTargets if all records lie on the same side of a mean or ratio that must be exact."""
    precision = targets.precision()
    for i in np.flatnonzero(ratios & ~(precision.penalized | precision.within)):
        row = matrix.data[matrix.indptr[i] : matrix.indptr[i + 1]]
        all_off = len(row) >= denominators.indptr[i + 1] - denominators.indptr[i] > 0
        if all_off and (row.min() > 0 or row.max() < 0):
            name = targets.names[i]
            side = "above" if row.min() > 0 else "below"
            raise InfeasibleTargets(
                f"no weights meet {name} = {targets.table['value'][int(i)]:,.10g}: all of its "
                f"records are {side} it. Correct or drop it",
                [name],
            )


def _matrix(entries: Entries, weight_of: np.ndarray, n: int) -> sp.csr_array:
    """Return rows of (record numbers, values) as a sparse matrix (rows, n) over weights."""
    starts = np.concatenate([[0], np.cumsum([len(records) for records, _ in entries])])
    records = np.concatenate([records for records, _ in entries])
    data = np.concatenate([values for _, values in entries]).astype(float)
    matrix = sp.csr_array((data, weight_of[records], starts), shape=(len(entries), n))
    matrix.sum_duplicates()
    return matrix


def _numbered(data: pl.DataFrame, column: str) -> np.ndarray:
    """Return the position of each record's household in order of first appearance, (records,)."""
    ids = the_column(data, column)
    nulls = ids.null_count() + (int(ids.is_nan().sum()) if ids.dtype.is_float() else 0)
    if nulls:
        raise CalibrationError(f"{column!r} is missing in {nulls} records")
    rank = ids.rank("dense").to_numpy().astype(np.int64) - 1
    order = rank[ids.is_first_distinct().to_numpy()]
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return position[rank]
