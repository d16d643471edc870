"""Distributions of single columns with differential privacy: noisy counts, and stand-in records.

Everything that a `Transformer` learns (categories, knots, shares of zeros, tails) is a function of single
columns. Each column is counted in cells that are fixed before the records are seen, Gaussian noise is added
to the counts, and stand-in records that have these counts train the transformer instead of the real ones.
Nothing that is computed from noisy counts costs more privacy (Dwork and Roth 2014, proposition 2.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.privacy.private_heaping import heaped_numbers, heaping_shares

MOST_WHOLE = 120  # whole numbers up to this many have a cell each
RATIO = 1.4  # of the ends of a cell, where there are more
IN_WHOLE_UNITS = 1000  # amounts with a bound of at least this are counted without cents
DIGITS = 6  # of the largest of other amounts
EMPTY = 2.0  # standard deviations of the noise below which a cell counts as empty
MOST_STAND_INS = 200_000


@dataclass(frozen=True)
class Cells:
    """The cells in which one column is counted.

    Attributes
    ----------
    name : the column.
    values : what a category's cells stand for; the lower ends of a number's cells.
    upper : the upper ends of a number's cells, which belong to the next one; None for a category. A cell
        whose ends are equal holds that number alone.
    step : numbers of stand-ins are multiples of it; 0 for any number.
    null : whether there is one more cell, for missing values.
    heaped : whether it is counted as well how round the numbers are.
    """

    name: str
    values: tuple[Any, ...]
    upper: tuple[float, ...] | None
    step: float
    null: bool
    heaped: bool = False

    def of(self, column: pl.Series) -> np.ndarray:
        """Return the index of each value's cell, (n,).

        Raises
        ------
        ValueError
            If a value is not within the declared range or categories, or missing where none may be.
        """
        column = column.fill_nan(None) if column.dtype.is_float() else column
        missing = column.is_null().to_numpy()
        if missing.any() and not self.null:
            raise ValueError(f"{self.name!r} is missing in {missing.sum()} rows")
        if self.upper is None:
            index = {value: i for i, value in enumerate(self.values)}
            distinct = column.drop_nulls().unique().to_list()
            if foreign := [value for value in distinct if value not in index]:
                raise ValueError(
                    f"{self.name!r} holds {foreign[0]!r}, which is not among its categories in the "
                    "privacy budget: give all possible ones"
                )
            found = column.replace_strict(index, default=len(self.values), return_dtype=pl.Int64)
            return found.fill_null(len(self.values)).to_numpy()
        x = column.cast(pl.Float64).fill_null(self.values[0]).to_numpy()
        low, high = self.values[0], self.upper[-1]
        if ((x < low) | (x > high)).any():
            raise ValueError(
                f"{self.name!r} holds a value outside of its bounds in the privacy budget, {low:g} to "
                f"{high:g}: give bounds that no record can exceed, or clip the column"
            )
        cells = np.searchsorted(np.array(self.values), x, side="right") - 1
        return np.where(missing, len(self.values), cells)

    def stand_ins(self, counts: np.ndarray, heaping: np.ndarray | None) -> pl.Series:
        """Return a column with these numbers of values in each cell, in the order of the cells.

        Parameters
        ----------
        counts : (number of cells,) whole numbers.
        heaping : see `heaping_shares`; None for values that are spread evenly.
        """
        given = len(self.values)
        nulls = [None] * int(counts[given:].sum())
        if self.upper is None:
            found = [v for v, k in zip(self.values, counts, strict=False) for _ in range(int(k))]
            return pl.Series(self.name, found + nulls)
        ends = zip(self.values, self.upper, counts[:given], strict=True)
        values = np.concatenate([self._spread(a, b, int(k), heaping) for a, b, k in ends])
        return pl.Series(self.name, [*values.tolist(), *nulls], dtype=pl.Float64)

    def _spread(
        self, low: float, high: float, count: int, heaping: np.ndarray | None
    ) -> np.ndarray:
        """Return numbers of one cell, spread evenly over it."""
        if heaping is None or low == high:
            return low + (high - low) * (np.arange(count) + 0.5) / max(count, 1)
        if low < 0:  # from above the upper end's size to the lower end's
            sizes = heaped_numbers(1 - high / self.step, 1 - low / self.step, count, heaping)
            return -sizes * self.step
        return heaped_numbers(low / self.step, high / self.step, count, heaping) * self.step


def number_cells(
    name: str, low: float, high: float, *, whole: bool, null: bool, amount: bool
) -> Cells:
    """Return cells of a number: one for each whole number if there are few, else growing with its size.

    Zero has a cell of its own. None of the ends depends on the records.

    Parameters
    ----------
    low, high : bounds.
    whole : whether all are whole numbers.
    null : whether some may be missing.
    amount : whether heaping matters.
    """
    if whole and high - low <= MOST_WHOLE:
        values = tuple(float(v) for v in range(math.ceil(low), math.floor(high) + 1))
        return Cells(name, values, values, 1.0, null)
    largest = max(abs(low), abs(high))
    step = 1.0
    if not whole and largest < IN_WHOLE_UNITS:
        step = 10.0 ** (math.floor(math.log10(largest)) - DIGITS)
    ends = [step]
    while ends[-1] < largest:
        grown = math.ceil(ends[-1] * RATIO / step) * step
        ends.append(grown)
    positive = [e for e in ends if max(low, 0) < e < high]
    negative = [-e for e in reversed(ends) if low < -e < min(high, 0)]
    edges: list[float] = [low, *negative, *positive]
    edges += [0.0] if low <= 0 <= high else []
    lower = sorted(set(edges))
    upper = [*lower[1:], high]
    if 0.0 in lower:  # from zero up to the first step there is nothing but zero
        upper[lower.index(0.0)] = 0.0
    return Cells(name, tuple(lower), tuple(upper), step, null, amount)


def noisy_counts(
    cells: Cells, column: pl.Series, weights: np.ndarray, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the weighted counts of a column's cells with Gaussian noise, (number of cells,).

    Parameters
    ----------
    weights : (n,) between 0 and 1, so that one record changes one count by at most 1.
    noise : standard deviation.
    """
    counts = np.bincount(cells.of(column), weights, minlength=len(cells.values) + cells.null)
    return counts + rng.normal(0.0, noise, len(counts))


def stand_in_records(
    data: pl.DataFrame,
    columns: list[Cells],
    weights: np.ndarray,
    records: int,
    noise: float,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return records whose single columns are distributed like noisy counts of the data's.

    The columns are independent of each other.

    Parameters
    ----------
    data : (n, ...) records.
    columns : the cells of each column.
    weights, noise : see `noisy_counts`.
    records : number of stand-ins; no more than MOST_STAND_INS are made.
    """
    n = min(records, MOST_STAND_INS)
    found = []
    for cells in columns:
        column = data[cells.name]
        counts = noisy_counts(cells, column, weights, noise, rng)
        heaping = None
        if cells.heaped:
            grid = np.round(column.cast(pl.Float64).to_numpy() / cells.step)
            heaping = heaping_shares(grid, weights, noise, rng)
        placed = _placed(cells, np.where(counts < EMPTY * noise, 0.0, counts), n)
        # in random order: sorted columns would seem to be tied to each other
        found.append(cells.stand_ins(placed, heaping).gather(rng.permutation(n)))
    return pl.DataFrame(found)


def uses(columns: Iterable[Cells]) -> int:
    """Return how often `stand_in_records` counts the records."""
    return sum(1 + cells.heaped for cells in columns)


def _placed(cells: Cells, counts: np.ndarray, n: int) -> np.ndarray:
    """Return numbers of stand-ins in each cell, in proportion to the counts, n in all.

    Whatever the counts, each category, missing value and sign has at least one: which classes a model has
    must not depend on the records.
    """
    needed = np.ones(len(counts))
    if cells.upper is not None:
        needed[: len(cells.values)] = 0
        middle = (np.array(cells.values) + np.array(cells.upper)) / 2
        for sign in (-1, 0, 1):
            of_sign = np.flatnonzero(np.sign(middle) == sign)
            if len(of_sign):
                needed[of_sign[counts[of_sign].argmax()]] = 1
    left = n - int(needed.sum())
    if left < 0:
        raise ValueError(f"{cells.name!r} has more categories than there are records")
    shares = counts / counts.sum() if counts.any() else np.full(len(counts), 1 / len(counts))
    whole = np.floor(shares * left)
    rest = np.argsort(whole - shares * left, kind="stable")[: left - int(whole.sum())]
    whole[rest] += 1
    return whole + needed
