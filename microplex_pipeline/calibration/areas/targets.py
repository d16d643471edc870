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
from microplex_pipeline.calibration.targets.precision import Precision, precision_of
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
    precision : how precisely targets are met, of arrays (A, K).
    """

    areas: list[str]
    parents: np.ndarray
    targets: Targets
    values: np.ndarray
    precision: Precision

    def prior_shares(self) -> np.ndarray:
        """Return the first target of each area, at least its standard error or one if it has none, (A,)."""
        errors = self.precision.standard_errors[:, 0]
        least = np.where(errors > 0, errors, 1.0)
        return np.maximum(self.values[:, 0], least)


class AreaTargets(Targets):
    """A checked long table of the targets of areas.

    Parameters
    ----------
    table : frame with the columns of `Targets`, and

        geoid : text; areas nest by its first digits.

    Raises
    ------
    CalibrationError
        As `Targets`, also for geoid.
    """

    key = ("geoid", *KEY)
    label = "{} {} {} {} [{}]"

    def levels(self, soft: bool | float, penalized: bool = False) -> list[AreaLevel]:
        """Return the levels, coarsest first.

        Parameters
        ----------
        soft : whether targets are met as their rows say, and not all exactly; a number is the tolerance of
            those that say nothing.
        penalized : whether each must have a standard error.

        Raises
        ------
        CalibrationError
            If a geoid is empty, a target is a mean or ratio, an area lacks a target that others of its
            level have, an area lies in no area of the level above or has no parts, no target is soft, or a
            standard error that is needed is missing or not positive.
        """
        totals = pl.col("measure").is_in(["count", "sum"])
        if means := self.table.filter(~totals)["target"].to_list():
            raise CalibrationError(
                f"targets of areas must be counts or sums, but these are not: {listed(means)}"
            )
        if penalized:
            self._check_standard_errors()
        elif soft is True and not self.any_soft:
            raise CalibrationError(
                "soft=True needs targets with a column standard_error, relative_standard_error, tolerance, "
                "at_least or at_most"
            )
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
        bad = self.table.filter(~pl.Series(self.precision().penalized))
        if bad.height:
            raise CalibrationError(
                "P-MEDM needs standard errors, but these targets have none above 0: "
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


def _level(part: pl.DataFrame, above: AreaLevel | None, soft: bool | float) -> AreaLevel:
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
    by_row = precision_of(part) if soft else Precision.exact(part.height)
    if not isinstance(soft, bool):
        by_row = by_row.with_tolerance(soft * part["value"].abs().to_numpy())
    precision = Precision(*[
        _grid(x, row, column, shape)
        for x in (by_row.standard_errors, by_row.below, by_row.above, by_row.importance)
    ])  # fmt: skip
    parents = np.zeros(len(areas), int) if above is None else _parents(areas, above.areas)
    return AreaLevel(areas, parents, targets, values, precision)


def _grid(
    rows: np.ndarray, area: np.ndarray, target: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    grid = np.empty(shape)
    grid[area, target] = rows
    return grid


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
