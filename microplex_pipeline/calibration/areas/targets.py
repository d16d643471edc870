"""Targets of areas: a long table with a geoid, as one grid of areas x targets per level.

Areas nest by the beginning of their geoid: tract 47093004606 lies in county 47093, that in state 47. All
areas whose geoid has the same length make a level.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    parents : (A,) position of the area of the level above, or zero where there is none.
    targets : the K targets that every area of the level has; their values stand in `values`.
    values : (A, K).
    standard_errors : (A, K), or None.
    """

    areas: list[str]
    parents: np.ndarray
    targets: Targets
    values: np.ndarray
    standard_errors: np.ndarray | None

    def prior_shares(self) -> np.ndarray:
        """Return the first target of each area, at least its standard error or one, (A,)."""
        least = np.ones(len(self.areas))
        if self.standard_errors is not None:
            least = self.standard_errors[:, 0]
        return np.maximum(self.values[:, 0], least)


class AreaTargets(Targets):
    """A checked long table of the targets of areas.

    Parameters
    ----------
    table : frame with the columns of `Targets`, and

        geoid : text; areas nest by its beginning;
        standard_error : of published estimates, positive; only where targets are soft.

    Raises
    ------
    CalibrationError
        As `Targets`; also if geoid is no text, an area lacks a target that others of its level have,
        an area lies in none of the level above or has no parts, or standard errors are unusable.
    """

    key = ("geoid", *KEY)
    label = "{} {} {} {} [{}]"

    def levels(self, soft: bool) -> list[AreaLevel]:
        """Return the levels, coarsest first, with standard errors if `soft`."""
        if soft:
            self._check_standard_errors()
        if (self.table["geoid"] == "").any():
            raise CalibrationError("the targets have rows without geoid: fill them, or drop them")
        found: list[AreaLevel] = []
        by_length = self.table.with_columns(pl.col("geoid").str.len_chars().alias("_length"))
        for part in by_length.sort("_length", maintain_order=True).partition_by("_length"):
            found.append(_level(part, found[-1] if found else None, soft))
        return found

    def _check_standard_errors(self) -> None:
        if "standard_error" not in self.table.columns:
            raise CalibrationError(
                "soft targets need their standard errors: the targets lack column 'standard_error'"
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
                "such as 0.5, or drop it"
            )


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
            f"areas lack targets that others of their level have: {listed(lacking)}. Add them, or drop "
            "the target everywhere"
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
    """Return the position of the area above that each area lies in, (A,)."""
    place = {geoid: i for i, geoid in enumerate(above)}
    length = len(above[0])
    if lost := [geoid for geoid in areas if geoid[:length] not in place]:
        raise CalibrationError(
            f"areas that lie in none of the areas of the level above ({listed(above, 3)}): "
            f"{listed(lost)}. A geoid must begin with that of the area around it"
        )
    if empty := sorted(set(above) - {geoid[:length] for geoid in areas}):
        raise CalibrationError(
            f"areas without parts, where others have some: {listed(empty)}. Give targets for their "
            "parts, or fit them apart"
        )
    return np.array([place[geoid[:length]] for geoid in areas])


def _positions(column: pl.Series, order: list[str]) -> np.ndarray:
    return column.replace_strict(order, list(range(len(order))), return_dtype=pl.Int64).to_numpy()
