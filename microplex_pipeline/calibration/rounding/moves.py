"""Moves of controlled rounding: one unit of a record more or less, and what it does to the controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

LEAST = 1e-6  # an improvement below this is rounding of the arithmetic
TRIES = 30  # records whose replacement by another is tried before a search ends


@dataclass(frozen=True)
class Misses:
    """What is missing, by level and control.

    Attributes
    ----------
    left : (L, K) control minus total. Moves change it in place.
    costs : (L, K) cost of a miss by one unit; zero where a level has no such control.
    """

    left: np.ndarray
    costs: np.ndarray

    @property
    def total(self) -> float:
        """The sum of misses times their costs."""
        return float((self.costs * np.abs(self.left)).sum())


class Pool:
    """Records of which an area may have more or fewer units, within bounds.

    Parameters
    ----------
    features : (p, K) sparse, contribution of one unit of each record to each control; no row is empty.
    units : (p,) that the area has. Moves change them in place.
    low, high : (p,) bounds of the units.

    Attributes
    ----------
    dense : (p, K) features.
    """

    def __init__(
        self, features: sp.csr_array, units: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> None:
        self.features, self.units, self.low, self.high = features, units, low, high
        self.dense = features.toarray()

    def only(self, kept: np.ndarray) -> Pool:
        """Return the pool of some of its records, given their positions."""
        rows = sp.csr_array(self.features[kept])
        return Pool(rows, self.units[kept], self.low[kept], self.high[kept])

    def changes(self, misses: Misses, sign: int) -> np.ndarray:
        """Return how the misses' total changes if a unit of each record is added (1) or taken (-1), (p,).

        It is infinite where the bounds allow no such move.
        """
        columns, moved = self.features.indices, sign * self.features.data
        change = np.zeros(len(moved))
        for left, costs in zip(misses.left, misses.costs, strict=True):
            if costs.any():
                here = left[columns]
                change += costs[columns] * (np.abs(here - moved) - np.abs(here))
        total = np.add.reduceat(change, self.features.indptr[:-1])
        fixed = self.units >= self.high if sign > 0 else self.units <= self.low
        total[fixed] = np.inf
        return total

    def move(self, record: int, sign: int, misses: Misses) -> None:
        """Add or take a unit of one record."""
        self.units[record] += sign
        misses.left[:] -= sign * self.dense[record]

    def improve(self, misses: Misses, tries: int = TRIES) -> None:
        """Add, take and replace units, one at a time, as long as the misses' total falls."""
        while len(self.units):
            more, less = self.changes(misses, 1), self.changes(misses, -1)
            added, taken = int(more.argmin()), int(less.argmin())
            if min(more[added], less[taken]) >= -LEAST:
                if not self._replace_one(misses, less, tries):
                    return
            elif more[added] <= less[taken]:
                self.move(added, 1, misses)
            else:
                self.move(taken, -1, misses)

    def _replace_one(self, misses: Misses, less: np.ndarray, tries: int) -> bool:
        """Replace a unit by that of another record, and return True, if that lowers the misses' total."""
        cheapest = np.argsort(less, kind="stable")[:tries]
        for taken in cheapest[np.isfinite(less[cheapest])]:
            without = Misses(misses.left + self.dense[taken], misses.costs)
            change = less[taken] + self.changes(without, 1)
            added = int(change.argmin())
            if change[added] < -LEAST:
                self.move(int(taken), -1, misses)
                self.move(added, 1, misses)
                return True
        return False
