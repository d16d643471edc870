"""The positions of the records in each of many domains, without a pass over all records for each domain.

A part of a domain that asks for one value, such as state:CA, is looked up in an index of its column; any
other part is evaluated once. A domain of several parts looks at the records of its rarest part only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.domains import (
    MISSING,
    NOT,
    bounds,
    condition,
    domain_parts,
)


class _Column(NamedTuple):
    """An index of a column.

    Attributes
    ----------
    codes : (n,) the number of each record's value; -1 if it is missing.
    numbers : of each value.
    order : positions of the records, sorted by code.
    starts : (values + 1,) where the records of each value start in `order`.
    """

    codes: np.ndarray
    numbers: dict[str | float, int]
    order: np.ndarray
    starts: np.ndarray


class _Part(NamedTuple):
    """The records of one part of a domain: their positions, and a test of any record.

    A record is in it if `key[record] == wanted`.
    """

    positions: np.ndarray
    key: np.ndarray
    wanted: int | bool


class DomainPositions:
    """Finds the records of domains.

    Parameters
    ----------
    data : n records.
    """

    def __init__(self, data: pl.DataFrame) -> None:
        self._data, self._schema = data, data.schema
        self._all = np.arange(data.height)
        self._columns: dict[str, _Column] = {}
        self._parts: dict[tuple[str, str], _Part] = {}

    def of(self, *domains: str) -> np.ndarray:
        """Return the positions of the records that are in all of the domains, in order.

        Raises
        ------
        CalibrationError
            If a text is not a domain, or names a column that the records lack.
        """
        parts = [
            self._part(column, value, domain)
            for domain in domains
            for column, value in domain_parts(domain)
        ]
        if not parts:
            return self._all
        rarest = min(parts, key=lambda part: len(part.positions))
        found = rarest.positions
        for part in parts:
            if part is not rarest:
                found = found[part.key[found] == part.wanted]
        return found

    def _part(self, column: str, value: str, domain: str) -> _Part:
        if (column, value) not in self._parts:
            if column not in self._schema:
                raise CalibrationError(
                    f"domain {domain!r} names column {column!r}, which the records lack"
                )
            numeric = self._schema[column].is_numeric()
            single = _single(value, numeric)
            if single is None:
                expression = condition(
                    pl.col(column), value, numeric, f"domain {domain!r}", column
                )
                mask = self._data.select(expression.fill_null(False)).to_series().to_numpy()
                self._parts[column, value] = _Part(np.flatnonzero(mask), mask, True)
            else:
                self._parts[column, value] = self._of_value(column, single)
        return self._parts[column, value]

    def _of_value(self, column: str, value: str | float) -> _Part:
        if column not in self._columns:
            self._columns[column] = _indexed(self._data[column])
        index = self._columns[column]
        number = index.numbers.get(value)
        if number is None:
            return _Part(self._all[:0], index.codes, -2)
        positions = index.order[index.starts[number] : index.starts[number + 1]]
        return _Part(positions, index.codes, number)


def _single(value: str, numeric: bool) -> str | float | None:
    """Return the one value that a part of a domain asks for, or None if it asks for something else."""
    if value == MISSING or value.startswith((NOT, "[")):
        return None
    if not numeric:
        return value
    ends = bounds(value)
    return float(ends.low) if ends and ends.low == ends.high and not ends.strict else None


def _indexed(column: pl.Series) -> _Column:
    numeric = column.dtype.is_numeric()
    values = column.cast(pl.Float64).fill_nan(None) if numeric else column.cast(pl.String)
    if numeric:  # ranks cost less than a join
        present = values.drop_nulls().unique().sort()
        coded = values.rank("dense").cast(pl.Int64) - 1
    else:
        present = values.drop_nulls().unique()
        codes_of = pl.DataFrame([present.alias("value")]).with_row_index("code")
        coded = pl.DataFrame([values.alias("value")]).join(
            codes_of, on="value", how="left", maintain_order="left"
        )["code"].cast(pl.Int64)  # fmt: skip
    numbers = dict(zip(present.to_list(), range(len(present)), strict=True))
    codes = coded.fill_null(-1).to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(present) + 1))
    return _Column(codes, numbers, order, starts)
