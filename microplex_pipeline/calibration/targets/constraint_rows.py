"""The contribution of each record to each target: the entries of the constraints' rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.domains import domain_expression
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
    table = targets.table
    if "geography" not in table.columns:
        table = table.with_columns(pl.lit("all").alias("geography"))
    numerators: Entries = [(np.zeros(0, np.int64), np.zeros(0))] * table.height
    denominators = list(numerators)
    numbered = table.with_row_index("_row")
    # select the records of a geography once, not once per target
    for (geography,), group in numbered.group_by(["geography"], maintain_order=True):
        inside = _inside(data, [str(geography)])[str(geography)]
        here = data if len(inside) == data.height else data[inside]
        lists_ages = lists_persons(data.schema)
        listed_targets = [
            (target, *_domain_and_ages(target, lists_ages)) for target in group.to_dicts()
        ]
        masks = _inside(here, [domain for _, domain, _ in listed_targets])
        for target, domain, ages in listed_targets:
            local = masks[domain]
            if target["entity"] in firsts:
                local = local[firsts[target["entity"]][inside[local]]]
            records, row = inside[local], target["_row"]
            above, _, under = target["variable"].partition("/")
            measure = target["measure"]
            if ages is not None:
                persons = persons_in(here[AGES][local], ages, target["domain"])
                numerators[row] = records[persons > 0], persons[persons > 0]
                continue
            ones = np.ones(len(local))
            if measure == "count":
                numerators[row] = records, ones
                continue
            name = above.strip() if measure == "ratio" else target["variable"]
            numerators[row] = records, _values(here, local, name, target["target"])
            if measure == "mean":
                denominators[row] = records, ones
            elif measure == "ratio":
                denominators[row] = (
                    records,
                    _values(here, local, under.strip(), target["target"]),
                )
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


def _inside(data: pl.DataFrame, domains: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the positions of the records inside each domain."""
    given = [domain for domain in dict.fromkeys(domains) if domain != "all"]
    schema = data.schema  # made anew each time it is asked for
    conditions = [domain_expression(domain, schema).fill_null(False) for domain in given]
    # in one pass: a table has dozens of domains
    inside = data.select(c.alias(str(i)) for i, c in enumerate(conditions))
    found = {d: np.flatnonzero(inside[str(i)].to_numpy()) for i, d in enumerate(given)}
    return found | {"all": np.arange(data.height)}


def _values(data: pl.DataFrame, rows: np.ndarray, name: str, target: str) -> np.ndarray:
    """Return a column's values in some rows; raise CalibrationError unless they are finite numbers."""
    column = the_column(data, name)
    if not column.dtype.is_numeric():
        raise CalibrationError(f"target {target} sums column {name!r}, which is not numeric")
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()[rows]
    if bad := int((~np.isfinite(values)).sum()):
        raise CalibrationError(
            f"target {target} sums column {name!r}, which is missing or not finite in {bad} of its "
            "records"
        )
    return values
