"""Estimates with standard errors and intervals, from a file of records and its replicates.

The standard error is the standard deviation of the statistic over the replicates. Each replicate repeats
all that is random in the file, so that this is the error of the estimate from the one file. The interval
is the estimate plus and minus a quantile of Student's distribution with R - 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.statistics import Statistic, named
from microplex_pipeline.frames import to_polars


class CannotEstimate(ValueError):
    """Replicates that are missing or do not belong together, or a statistic that has no value."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its error.

    Attributes
    ----------
    value, standard_error : the estimate from the file, and its standard error.
    low, high : ends of the interval.
    df, level : degrees of freedom, and the share of samples in which such an interval holds the truth.
    replicates : (R,) the statistic in each replicate; empty if the estimate was combined from others.
    """

    value: float
    standard_error: float
    low: float
    high: float
    df: float
    level: float
    replicates: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @classmethod
    def from_error(
        cls, value: float, error: float, df: float, level: float, replicates: Any = ()
    ) -> Estimate:
        """Return an estimate with the interval of Student's distribution."""
        if not 0 < level < 1:
            raise CannotEstimate(f"the level must be between 0 and 1, e.g. 0.95, not {level}")
        from scipy.stats import norm, t  # costly to import

        tail = (1 + level) / 2
        width = error * float(t.ppf(tail, df) if np.isfinite(df) else norm.ppf(tail))
        return cls(value, error, value - width, value + width, df, level, np.asarray(replicates))

    @classmethod
    def from_replicates(cls, value: float, replicates: Any, level: float = 0.95) -> Estimate:
        """Return an estimate, given the statistic in the file and in each replicate.

        Raises
        ------
        CannotEstimate
            If there are fewer than two replicates, or the statistic has no value in the file or a
            replicate, e.g. a mean of no records.
        """
        values = np.asarray(replicates, float)
        if len(values) < 2:
            raise CannotEstimate("a standard error needs at least two replicates")
        if not np.isfinite(value):
            raise CannotEstimate("the statistic has no value: no record is in the domain")
        if missing := int((~np.isfinite(values)).sum()):
            raise CannotEstimate(
                f"the statistic has no value in {missing} of {len(values)} replicates: too few records are "
                "in the domain"
            )
        error = float(values.std(ddof=1))
        return cls.from_error(value, error, len(values) - 1, level, values)

    def minus(self, other: Estimate, *, paired: bool) -> Estimate:
        """Return the difference, e.g. of two years, with its error.

        Parameters
        ----------
        paired : whether replicates of one number stand for the same sample in both: years aged from one
            survey, or two statistics of one year. Otherwise the two are taken to be independent, and
            variances add; the degrees of freedom are Satterthwaite's (1946).

        Raises
        ------
        CannotEstimate
            If paired estimates have different numbers of replicates.
        """
        value = self.value - other.value
        if paired:
            if len(self.replicates) != len(other.replicates):
                raise CannotEstimate("paired estimates need the same number of replicates")
            gaps = self.replicates - other.replicates
            return Estimate.from_replicates(value, gaps, self.level)
        parts = np.array([self.standard_error**2, other.standard_error**2])
        variance = float(parts.sum())
        df = variance**2 / float((parts**2 / [self.df, other.df]).sum()) if variance else self.df
        return Estimate.from_error(value, variance**0.5, df, self.level)


def estimate(
    records: Any,
    replicates: Any,
    statistic: str | Statistic,
    variable: str | pl.Expr,
    *,
    q: float | None = None,
    where: pl.Expr | None = None,
    weight: str | pl.Expr = "weight",
    level: float = 0.95,
) -> Estimate:
    """Return a statistic of a file of records, with its standard error and interval.

    Parameters
    ----------
    records : rows of `calibration.calibrated_population`, of one or more states.
    replicates : rows of `calibration.replicates` of the same states and year.
    statistic : total, mean, share, median, quantile, gini or top_coded_gini; or a function of values and
        weights.
    variable : column or expression. Truth values count as 0 and 1.
    q : which quantile, from 0 to 1.
    where : the domain; None for all records.
    weight : column or expression; `pl.col("weight") * pl.col("n_persons")` counts persons. For households,
        let `where` be `pl.col("unit_number") == 1`.
    level : of the interval.

    Raises
    ------
    CannotEstimate
        If a state lacks replicates that another has, or as `Estimate.from_replicates`.
    ValueError
        If there is no such statistic, or values are missing.

    Examples
    --------
    >>> import polars as pl
    >>> records = pl.DataFrame({"state": "RI", "weight": [2.0, 2.0], "wages": [0, 100]})
    >>> replicates = pl.DataFrame(
    ...     {
    ...         "state": "RI",
    ...         "replicate": [1, 1, 2, 2, 3, 3],
    ...         "weight": [2.0] * 6,
    ...         "wages": [0, 90, 0, 110, 0, 130],
    ...     }
    ... )
    >>> found = estimate(records, replicates, "total", "wages")
    >>> found.value, found.standard_error
    (200.0, 40.0)
    """
    function = named(statistic, q) if isinstance(statistic, str) else statistic
    expressions = {
        "value": pl.col(variable) if isinstance(variable, str) else variable,
        "weight": pl.col(weight) if isinstance(weight, str) else weight,
    }

    def taken(frame: pl.DataFrame, *keys: str) -> pl.DataFrame:
        inside = frame if where is None else frame.filter(where)
        return inside.select(*keys, **{n: e.cast(pl.Float64) for n, e in expressions.items()})

    every = to_polars(replicates)
    return from_rows(
        taken(to_polars(records)),
        taken(every, "replicate"),
        complete_numbers(every),
        function,
        level=level,
    )


def complete_numbers(replicates: pl.DataFrame) -> list[int]:
    """Return the numbers of the replicates, which every state must have.

    Raises
    ------
    CannotEstimate
        If there are none, or a state lacks some.
    """
    keys = [c for c in ("state", "year") if c in replicates.columns]
    numbers = replicates["replicate"].unique().sort().to_list()
    if not numbers:
        raise CannotEstimate("there are no replicates")
    if keys:
        counts = replicates.group_by(keys).agg(pl.col("replicate").n_unique()).sort(keys)
        for *key, count in counts.iter_rows():
            if count != len(numbers):
                raise CannotEstimate(
                    f"{' '.join(map(str, key))} has {count} replicates, others have up to {len(numbers)}: "
                    "build them with the same number"
                )
    return numbers


def from_rows(
    records: pl.DataFrame,
    replicates: pl.DataFrame,
    numbers: list[int],
    statistic: Statistic,
    *,
    level: float = 0.95,
) -> Estimate:
    """Return an estimate from rows of `value` and `weight`.

    Parameters
    ----------
    records : columns value, weight.
    replicates : the same and `replicate`.
    numbers : of all replicates, also of those without a row in the domain.
    statistic : function of values and weights.

    Raises
    ------
    ValueError
        If a value is missing.
    CannotEstimate
        As `Estimate.from_replicates`.
    """
    if records["value"].has_nulls() or replicates["value"].has_nulls():
        raise ValueError("the variable has missing values: leave them out of the domain")
    groups: Mapping[Any, pl.DataFrame] = {
        key[0]: rows for key, rows in replicates.partition_by("replicate", as_dict=True).items()
    }
    nothing = records.clear()

    def value(rows: pl.DataFrame) -> float:
        return statistic(rows["value"].to_numpy(), rows["weight"].to_numpy())

    found = [value(groups.get(number, nothing)) for number in numbers]
    return Estimate.from_replicates(value(records), found, level)
