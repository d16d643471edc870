"""How precisely targets are met: exactly, within limits, or penalized by their standard errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import polars as pl

Kind = Literal["exact", "within", "penalized"]
PENALTIES = ("standard_error", "relative_standard_error")
LIMITS = ("tolerance", "at_least", "at_most")
PRECISION = (*PENALTIES, *LIMITS, "importance")  # columns of a table of targets


INSIDE = 2e-7  # of a target's size, by which its limits are narrowed
# whether a row of a state's table of targets is met exactly
IS_EXACT = pl.col("standard_error").is_null() & pl.col("tolerance").is_null()


@dataclass(frozen=True)
class Precision:
    """How precisely each of m targets is met.

    A target with a standard error is *penalized*: half its squared miss in standard errors, times its
    importance, is added to what is minimised. One with limits is met *within* them: they are never exceeded.
    One with neither is met *exactly*.

    Attributes
    ----------
    standard_errors : (m,) zero if the target is not penalized.
    below, above : (m,) how far the total may lie below and above the value, zero if there are no limits; one
        of them may be infinite.
    importance : (m,) positive.
    """

    standard_errors: np.ndarray
    below: np.ndarray
    above: np.ndarray
    importance: np.ndarray

    @classmethod
    def exact(cls, m: int) -> Self:
        """Return that of m targets that are met exactly."""
        return cls(np.zeros(m), np.zeros(m), np.zeros(m), np.ones(m))

    @property
    def penalized(self) -> np.ndarray:
        """Which targets are penalized, (m,)."""
        return self.standard_errors > 0

    @property
    def within(self) -> np.ndarray:
        """Which targets have limits, (m,)."""
        return (self.below > 0) | (self.above > 0)

    @property
    def kinds(self) -> list[Kind]:
        """One word per target."""
        return [
            "penalized" if p else "within" if w else "exact"
            for p, w in zip(self.penalized, self.within, strict=True)
        ]

    @property
    def variances(self) -> np.ndarray:
        """What squared misses are divided by, (m,), zero if not penalized."""
        return self.standard_errors**2 / self.importance

    def at(self, rows: np.ndarray) -> Precision:
        """Return that of some targets, by position or (m,) bool."""
        return Precision(
            self.standard_errors[rows], self.below[rows], self.above[rows], self.importance[rows]
        )

    def flat(self) -> Precision:
        """Return that of a grid of areas and targets (A, K) as that of m = A K targets."""
        return Precision(
            *(x.ravel() for x in (self.standard_errors, self.below, self.above, self.importance))
        )

    def scaled(self, units: np.ndarray) -> Precision:
        """Return it in other units, (m,) by which the old ones are multiplied."""
        below, above = (np.where(x == 0, 0.0, x * units) for x in (self.below, self.above))
        return replace(
            self, standard_errors=self.standard_errors * units, below=below, above=above
        )

    def narrowed(self, sizes: np.ndarray) -> Precision:
        """Return it with slightly narrower limits, so that rounding does not take totals beyond them.

        Parameters
        ----------
        sizes : (m,) of the targets.
        """
        below, above = (
            np.where(np.isfinite(x), np.maximum(x - INSIDE * sizes, x / 2), x)
            for x in (self.below, self.above)
        )
        return replace(self, below=below, above=above)

    def with_tolerance(self, tolerances: np.ndarray) -> Precision:
        """Return it with limits (m,), the same below and above, for targets that are met exactly."""
        exact = ~(self.penalized | self.within)
        below, above = (np.where(exact, tolerances, x) for x in (self.below, self.above))
        return replace(self, below=below, above=above)


def precision_of(table: pl.DataFrame) -> Precision:
    """Return how precisely the targets of a table are met, in their units.

    Parameters
    ----------
    table : columns value and any of `PRECISION`, without faults.
    """
    value = table["value"].to_numpy()
    given = {c: _numbers(table, c) for c in PRECISION}
    errors = given["standard_error"]
    errors = np.where(np.isnan(errors), given["relative_standard_error"] * np.abs(value), errors)
    tolerance = given["tolerance"] * np.abs(value)
    limited = ~np.isnan(given["at_least"]) | ~np.isnan(given["at_most"])
    below, above = (
        np.where(limited, np.where(np.isnan(apart), np.inf, apart), np.nan_to_num(tolerance))
        for apart in (value - given["at_least"], given["at_most"] - value)
    )
    importance = np.where(np.isnan(given["importance"]), 1.0, given["importance"])
    return Precision(np.nan_to_num(errors), below, above, importance)


def precision_faults(table: pl.DataFrame) -> dict[str, pl.Expr]:
    """Return what can be wrong with the columns of precision: a sentence, and the rows at fault."""
    faults = {}
    for column in (*PENALTIES, "tolerance"):
        if column in table.columns:
            known = pl.col(column)
            faults[f"have a negative or infinite {column}"] = known.is_not_null() & ~(
                known.is_finite() & (known >= 0)
            )
    value = pl.col("value")
    for column, apart in (("at_least", value - pl.col("at_least")),
                          ("at_most", pl.col("at_most") - value)):  # fmt: skip
        if column in table.columns:
            side = "above" if column == "at_least" else "below"
            faults[f"have an {column} that is {side} their value, or not a number"] = pl.col(
                column
            ).is_not_null() & ~(apart.is_finite() & (apart >= 0))
    penalized = _positive(table, PENALTIES)
    limited = _known(table, ("at_least", "at_most"))
    faults["have both a standard error and limits: give one of them"] = penalized & (
        _positive(table, ("tolerance",)) | limited
    )
    faults["have both a standard_error and a relative_standard_error"] = _all_known(
        table, PENALTIES
    )
    faults["have both a tolerance and at_least or at_most"] = (
        _known(table, ("tolerance",)) & limited
    )
    if "importance" in table.columns:
        importance = pl.col("importance")
        faults["have an importance that is not above 0"] = importance.is_not_null() & ~(
            importance.is_finite() & (importance > 0)
        )
        faults["have an importance, which goes with a standard error, but none"] = (
            importance.is_not_null() & (importance != 1) & ~penalized
        )
    return faults


def _numbers(table: pl.DataFrame, column: str) -> np.ndarray:
    if column not in table.columns:
        return np.full(table.height, np.nan)
    return table[column].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _known(table: pl.DataFrame, columns: tuple[str, ...]) -> pl.Expr:
    return pl.any_horizontal(
        pl.lit(False), *[pl.col(c).is_not_null() for c in columns if c in table.columns]
    )


def _all_known(table: pl.DataFrame, columns: tuple[str, ...]) -> pl.Expr:
    if not set(columns) <= set(table.columns):
        return pl.lit(False)
    return pl.all_horizontal(*[pl.col(c).is_not_null() for c in columns])


def _positive(table: pl.DataFrame, columns: tuple[str, ...]) -> pl.Expr:
    present = [(pl.col(c) > 0).fill_null(False) for c in columns if c in table.columns]
    return pl.any_horizontal(pl.lit(False), *present)
