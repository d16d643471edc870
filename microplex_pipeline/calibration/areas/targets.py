"""Targets of areas: a long table with a geoid, as one grid of areas x targets per level.

Areas nest by the first digits of their geoid: tract 47093004606 lies in county 47093, and the county in
state 47. All areas with geoids of the same length form a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.table import KEY, Targets, listed


@dataclass(frozen=True)
class AreaLevel:
    """Areas of one level, in order of their geoid.

    Attributes
    ----------
    areas : geoid of each.
    parents : (A,) position of the parent in the level above, zero at the first level.
    targets : the K targets that every area of the level has; their values are in `values`.
    values : (A, K).
    standard_errors : (A, K), or None for exact targets.
    """

    areas: list[str]
    parents: np.ndarray
    targets: Targets
    values: np.ndarray
    standard_errors: np.ndarray | None

    def prior_shares(self) -> np.ndarray:
        """Return the first target of each area, at least its standard error or one if exact, (A,)."""
        least = np.ones(len(self.areas))
        if self.standard_errors is not None:
            least = self.standard_errors[:, 0]
        return np.maximum(self.values[:, 0], least)


class AreaTargets(Targets):
    """A checked long table of the targets of areas.

    Parameters
    ----------
    table : frame with the columns of `Targets`, and

        geoid : text; areas nest by its first digits;
        standard_error : of published estimates, positive; only needed if targets are soft.

    Raises
    ------
    CalibrationError
        As `Targets`, also for geoid.
    """

    key = ("geoid", *KEY)
    label = "{} {} {} {} [{}]"

    def levels(self, soft: bool) -> list[AreaLevel]:
        """Return the levels, coarsest first, with standard errors if `soft`.

        Raises
        ------
        CalibrationError
            If a geoid is empty, a target is a mean or ratio, an area lacks a target that others of its
            level have, an area lies in no area of the level above or has no parts, or a standard error
            is missing or not positive.
        """
        totals = pl.col("measure").is_in(["count", "sum"])
        if means := self.table.filter(~totals)["target"].to_list():
            raise CalibrationError(
                f"targets of areas must be counts or sums, but these are not: {listed(means)}"
            )
        if soft:
            self._check_standard_errors()
        if (self.table["geoid"] == "").any():
            raise CalibrationError(
                "the targets have rows without geoid: fill it in, or drop the rows"
            )
        found: list[AreaLevel] = []
        by_length = self.table.with_columns(pl.col("geoid").str.len_chars().alias("_length"))
        for part in by_length.sort("_length", maintain_order=True).partition_by("_length"):
            found.append(_level(part, found[-1] if found else None, soft))
        return found

    def _check_standard_errors(self) -> None:
        if "standard_error" not in self.table.columns:
            raise CalibrationError(
                "soft targets need standard errors: the targets lack column 'standard_error'"
            )
        if not self.table["standard_error"].dtype.is_numeric():
            raise CalibrationError("column 'standard_error' of the targets must be numbers")
        error = pl.col("standard_error")
        bad = self.table.filter(
            error.is_null() | ~error.cast(pl.Float64).is_finite() | (error <= 0)
        )
        if bad.height:
            raise CalibrationError(
                "targets whose standard error is not a positive number: "
                f"{listed(bad['target'].to_list())}. Give a controlled total a small one, "
                "e.g. 0.5, or drop the target"
            )


def area_targets(targets: Targets | Any) -> AreaTargets:
    """Return the targets of areas from a frame with a geoid, or a `Targets` table with a geography.

    A geography such as "county:44001" names the area with geoid 44001.

    Raises
    ------
    CalibrationError
        As `AreaTargets`; also if the geography of a row is not one column and one geoid.
    """
    if isinstance(targets, AreaTargets):
        return targets
    if not isinstance(targets, Targets):
        return AreaTargets(targets)
    if "geography" not in targets.table.columns:
        raise CalibrationError(
            "a Targets table needs column 'geography' to say which area each row belongs to, "
            "e.g. 'county:44001'"
        )
    geoid = pl.col("geography").str.extract(r"^[^:|]+:([^:|]+)$")
    table = targets.table.with_columns(geoid.alias("geoid"))
    if unclear := table.filter(pl.col("geoid").is_null())["target"].to_list():
        raise CalibrationError(
            "targets whose geography is not of the form column:geoid, e.g. 'county:44001': "
            f"{listed(unclear)}"
        )
    return AreaTargets(table.drop("geography", "target"))


def _level(part: pl.DataFrame, above: AreaLevel | None, soft: bool) -> AreaLevel:
    areas = part["geoid"].unique().sort().to_list()
    targets = Targets(part.select(KEY).unique(maintain_order=True).with_columns(value=0.0))
    names = part.select(pl.format(Targets.label, *[pl.col(c) for c in KEY]).alias("name"))["name"]
    row = _positions(part["geoid"], areas)
    column = _positions(names, targets.names)
    shape = (len(areas), len(targets.names))
    given = np.zeros(shape, bool)
    given[row, column] = True
    if not given.all():
        lacking = [f"{areas[a]} {targets.names[k]}" for a, k in np.argwhere(~given)]
        raise CalibrationError(
            f"areas lack targets that other areas of their level have: {listed(lacking)}. Add them, or "
            "drop the target for all areas"
        )
    values = np.empty(shape)
    values[row, column] = part["value"].to_numpy()
    errors = None
    if soft:
        errors = np.empty(shape)
        errors[row, column] = part["standard_error"].cast(pl.Float64).to_numpy()
    parents = np.zeros(len(areas), int) if above is None else _parents(areas, above.areas)
    return AreaLevel(areas, parents, targets, values, errors)


def _parents(areas: list[str], above: list[str]) -> np.ndarray:
    """Return the position of each area's parent in the level above, (A,)."""
    place = {geoid: i for i, geoid in enumerate(above)}
    length = len(above[0])
    if lost := [geoid for geoid in areas if geoid[:length] not in place]:
        raise CalibrationError(
            f"areas that lie in no area of the level above ({listed(above, 3)}): {listed(lost)}. "
            "A geoid must start with the geoid of the area that contains it"
        )
    if empty := sorted(set(above) - {geoid[:length] for geoid in areas}):
        raise CalibrationError(
            f"areas without parts, although other areas have some: {listed(empty)}. Give targets for "
            "their parts, or fit them separately"
        )
    return np.array([place[geoid[:length]] for geoid in areas])


def _positions(column: pl.Series, order: list[str]) -> np.ndarray:
    return column.replace_strict(order, list(range(len(order))), return_dtype=pl.Int64).to_numpy()
