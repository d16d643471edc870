"""The contribution of each record to each target: the entries of the constraints' rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.domain_positions import DomainPositions
from microplex_pipeline.calibration.targets.expressions import AGES
from microplex_pipeline.calibration.targets.margins import the_column
from microplex_pipeline.calibration.targets.person_counts import (
    PERSON,
    lists_persons,
    persons_in,
    split_domain,
)
from microplex_pipeline.calibration.targets.table import Targets

# per row: positions of records, and the contribution of each
Entries = list[tuple[np.ndarray, np.ndarray]]


def table_rows(
    data: pl.DataFrame, targets: Targets, firsts: Mapping[str, np.ndarray]
) -> tuple[Entries, Entries]:
    """Return the contribution of each record to each target: numerators, and denominators of ratios.

    If the records list the ages of their persons, targets of the entity "person" count these.

    Parameters
    ----------
    data : one row per record.
    targets : the m targets.
    firsts : per counted entity, whether each record is the first of its unit, (n,) bool.
    """
    numerators: Entries = []
    denominators: Entries = []
    nothing = np.zeros(0, np.int64), np.zeros(0)
    records_of, lists_ages = DomainPositions(data), lists_persons(data.schema)
    values = _Values(data)
    for target in targets.table.to_dicts():
        domain, ages = _domain_and_ages(target, lists_ages)
        records = records_of.of(target.get("geography") or "all", domain)
        if target["entity"] in firsts:
            records = records[firsts[target["entity"]][records]]
        measure, variable = target["measure"], target["variable"]
        above, _, under = variable.partition("/")
        below = nothing
        if ages is not None:
            persons = persons_in(data[AGES][records], ages, target["domain"])
            found = records[persons > 0], persons[persons > 0]
        elif measure == "count":
            found = records, np.ones(len(records))
        else:
            name = above.strip() if measure == "ratio" else variable
            found = records, values.of(name, records, target["target"])
            if measure == "mean":
                below = records, np.ones(len(records))
            elif measure == "ratio":
                below = records, values.of(under.strip(), records, target["target"])
        numerators.append(found)
        denominators.append(below)
    return numerators, denominators


def _domain_and_ages(target: Mapping[str, Any], lists_ages: bool) -> tuple[str, list[str] | None]:
    """Return the domain of records, and the ages that are counted among the persons they list."""
    if target["entity"] != PERSON or not lists_ages:
        return target["domain"], None
    if target["measure"] != "count":
        raise CalibrationError(
            f"target {target['target']}: persons can be counted only, because amounts are those of units"
        )
    return split_domain(target["domain"])


class _Values:
    """Columns of numbers, each read once.

    Parameters
    ----------
    data : the records.
    """

    def __init__(self, data: pl.DataFrame) -> None:
        self._data = data
        self._columns: dict[str, np.ndarray] = {}

    def of(self, name: str, records: np.ndarray, target: str) -> np.ndarray:
        """Return a column's values of some records; raise CalibrationError unless they are finite numbers."""
        if name not in self._columns:
            column = the_column(self._data, name)
            if not column.dtype.is_numeric():
                raise CalibrationError(
                    f"target {target} sums column {name!r}, which is not numeric"
                )
            self._columns[name] = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        values = self._columns[name][records]
        if bad := int((~np.isfinite(values)).sum()):
            raise CalibrationError(
                f"target {target} sums column {name!r}, which is missing or not finite in {bad} of its "
                "records"
            )
        return values
