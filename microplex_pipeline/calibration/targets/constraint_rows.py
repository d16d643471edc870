"""The contribution of each record to each target: the entries of the constraints' rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.domains import domain_expression
from microplex_pipeline.calibration.targets.expressions import AGES
from microplex_pipeline.calibration.targets.person_counts import (
    PERSON,
    lists_persons,
    persons_in,
    split_domain,
)
from microplex_pipeline.calibration.targets.table import Targets, listed

Margins = Mapping[str, Mapping[Any, float]]
MARGIN_TOLERANCE = 1e-9  # largest relative difference between totals that should be equal

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


def margin_rows(data: pl.DataFrame, margins: Margins) -> tuple[Entries, np.ndarray, list[str]]:
    """Check a nested dict of margins against the data; return entries, values (m,) and names."""
    if not margins or not all(bool(cells) for cells in margins.values()):
        raise CalibrationError("there are no targets: the dict or one of its margins is empty")
    entries: Entries = []
    values, names = [], []
    for variable, cells in margins.items():
        if not isinstance(cells, Mapping):
            raise CalibrationError(
                f"the targets of {variable!r} must be a dict {{category: total}}, not {cells!r}"
            )
        column = the_column(data, variable)
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
                f"records have categories of {variable!r} that have no target: "
                f"{listed(sorted(without))}. Add their totals, or leave out those records"
            )
        distinct = pl.Series(list(present), dtype=column.dtype)
        codes = column.replace_strict(distinct, list(present.values()), return_dtype=pl.Int64)
        for category, value in totals_of.items():
            records = np.flatnonzero(codes.to_numpy() == present.get(category, -1))
            entries.append((records, np.ones(len(records))))
            values.append(value)
            names.append(f"{variable}={category}")
    totals = {
        variable: sum(float(v) for v in cells.values()) for variable, cells in margins.items()
    }
    low, high = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    if totals[high] - totals[low] > MARGIN_TOLERANCE * totals[high]:
        shown = ", ".join(f"{variable} {total:,.10g}" for variable, total in totals.items())
        raise CalibrationError(
            f"the margins have different totals: {shown}. Each margin covers every record, so all must "
            "add up to the same population: scale them to one total"
        )
    return entries, np.array(values), names


def the_column(data: pl.DataFrame, name: str) -> pl.Series:
    """Return a column of the records; raise CalibrationError if they lack it."""
    if name not in data.columns:
        raise CalibrationError(
            f"the records lack column {name!r} (they have {listed(data.columns, 20)})"
        )
    return data[name]


def _total(variable: str, category: Any, value: Any) -> float:
    """Return a target as a number; raise CalibrationError unless it is finite and not negative."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise CalibrationError(
            f"the target of {variable}={category} is not a number: {value!r}"
        ) from error
    if not np.isfinite(number) or number < 0:
        raise CalibrationError(
            f"the target of {variable}={category} is negative, NaN or infinite: {number:g}"
        )
    return number
