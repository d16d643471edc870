"""Controlled rounding of the weights of nested areas: whole numbers that keep the controls of every level.

Areas are rounded one after another. Each starts from a systematic sample of the fractions of its weights.
Units are then added, taken and replaced as long as that lowers the misses of its own controls and of those of
the areas around it, as far as these have come: what one area misses, the next makes up (error diffusion).
What the areas around still miss in the end is made up by pairs of replacements that cost the area itself
little. A record has its weight rounded down or up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.rounding.moves import Misses, Pool
from microplex_pipeline.calibration.rounding.pairs import replace_two

MOST_RECORDS = 3_000  # of an area, whose units may change, by default
KEPT_RECORDS = 600  # of them, those that may still change for the areas around
PARTIAL = 0.3  # cost of a miss of an area around while it is not complete; one of the area itself costs 1
COMPLETE = 2.0  # and once it is
ROUNDS = 4  # in which areas are changed for one around them
MOST_REPAIRED = 1_000  # areas that are changed for one around them, each time they are
MOST_SORTED = 16  # controls by which records are sorted
NOISE = 1e-9  # a weight this near to a whole number is that number
LARGEST_COUNT = 100  # whole contributions up to this are counted, larger ones are amounts


@dataclass(frozen=True)
class ControlLevel:
    """Areas of one level.

    Attributes
    ----------
    parents : (A,) position of each area's parent in the level above, zero at the first level.
    values : (A, K) controls.
    costs : (K,) cost of a miss by one unit of each control; zero for what this level does not control.
    """

    parents: np.ndarray
    values: np.ndarray
    costs: np.ndarray


@dataclass(frozen=True)
class WholeWeights:
    """Whole weights of one area: `units` (r,) > 0, of `records` (r,), in order."""

    records: np.ndarray
    units: np.ndarray


def unit_costs(features: sp.csr_array) -> np.ndarray:
    """Return the cost (K,) of a miss by one unit: 1 for counts, for amounts 1 over their mean.

    Parameters
    ----------
    features : (n, K) sparse, contribution of one unit of each record to each control.
    """
    columns = sp.csc_array(features)
    costs = np.ones(features.shape[1])
    for k in range(features.shape[1]):
        values = np.abs(columns.data[columns.indptr[k] : columns.indptr[k + 1]])
        if len(values) and (values.max() > LARGEST_COUNT or (values != np.rint(values)).any()):
            costs[k] = 1 / max(values.mean(), np.finfo(float).tiny)
    return costs


class AreaRounding:
    """Rounds the weights of the areas of the finest level.

    Parameters
    ----------
    features : (n, K) sparse, contribution of one unit of each record to each control.
    levels : coarsest first. A control that the weights miss by more than half a unit is replaced by
        their total.
    seed : of the samples.
    most_records : of an area, whose units may change.
    """

    def __init__(
        self,
        features: sp.csr_array,
        levels: list[ControlLevel],
        seed: int,
        most_records: int = MOST_RECORDS,
    ) -> None:
        ones = sp.csr_array(np.ones((features.shape[0], 1)))
        # the number of units is kept, too, and no row is empty
        self._features = sp.csr_array(sp.hstack([features, ones]))
        self._levels, self._seed, self._most_records = levels, seed, most_records
        self._order = _similar_together(features)
        self._costs = np.array([[*level.costs, 0.0] for level in levels])
        self._costs[-1, -1] = 1.0
        self._ancestors = _ancestors([level.parents for level in levels])
        shapes = [(len(level.values), self._features.shape[1]) for level in levels[:-1]]
        self._asked = [np.zeros(shape) for shape in shapes]  # totals of the weights so far
        self._got = [np.zeros(shape) for shape in shapes]  # totals of the units so far

    def round(self, weights: Iterable[np.ndarray]) -> Iterator[WholeWeights]:
        """Yield the whole weights of each area, given its weights (n,) >= 0, in order.

        Those of one area of the first level are held in memory until all of them are rounded.
        """
        first = self._ancestors[0]
        parts: list[_Part] = []
        for area, own in enumerate(weights):
            if parts and first[area] != first[parts[-1].area]:
                yield from self._completed(parts)
                parts = []
            parts.append(self._start(area, own))
        if parts:
            yield from self._completed(parts)

    def _start(self, area: int, weights: np.ndarray) -> _Part:
        """Round the weights (n,) of one area, and make up for what areas before it missed."""
        rng = np.random.default_rng([self._seed, area])
        nearest = np.rint(weights)
        weights = np.where(np.abs(weights - nearest) < NOISE, nearest, weights)
        low = np.floor(weights)
        rest = weights - low
        units = low + _systematic(rest, self._order, rng)
        used = _some(units > low, rest, self._most_records, rng)
        rows = sp.csr_array(self._features[used])
        pool = Pool(rows, units[used], low[used], np.ceil(weights[used]))
        total, got = self._features.T @ weights, self._features.T @ units
        above = self._above(area)
        for asked, a in zip(self._asked, above, strict=True):
            asked[a] += total
        left = [
            asked[a] - so_far[a] - got
            for asked, so_far, a in zip(self._asked, self._got, above, strict=True)
        ]
        own = _control(self._levels[-1].values[area], total) - got
        costs = self._costs.copy()
        costs[:-1] *= PARTIAL
        misses = Misses(np.array([*left, own]), costs)
        pool.improve(misses)
        replace_two(pool, misses, rng)
        units[used] = pool.units
        got = self._features.T @ units
        for so_far, a in zip(self._got, above, strict=True):
            so_far[a] += got
        kept = _some(pool.units > pool.low, rest[used], KEPT_RECORDS, rng)
        units[used[kept]] = 0
        others = np.flatnonzero(units)
        return _Part(area, used[kept], pool.only(kept), misses.left[-1], others, units[others])

    def _completed(self, parts: list[_Part]) -> Iterator[WholeWeights]:
        """Make up what the areas around the parts miss, smaller ones first, then yield the parts."""
        rng = np.random.default_rng([self._seed, parts[0].area, 1])
        for ancestors in reversed(self._ancestors[:-1]):
            within = np.array([ancestors[part.area] for part in parts])
            for area in np.unique(within):
                inside = np.flatnonzero(within == area)
                order = np.concatenate([rng.permutation(inside) for _ in range(ROUNDS)])
                for k in order[:MOST_REPAIRED]:
                    self._repair(parts[k], rng)
        for part in parts:
            yield part.whole_weights()

    def _repair(self, part: _Part, rng: np.random.Generator) -> None:
        """Replace two units of an area, if that lowers what the areas around it miss."""
        above = self._above(part.area)
        left = [
            _control(level.values[a], asked[a]) - got[a]
            for level, asked, got, a in zip(
                self._levels, self._asked, self._got, above, strict=False
            )
        ]
        costs = self._costs.copy()
        costs[:-1] *= COMPLETE
        around = Misses(np.array(left), costs[:-1])
        if around.total < COMPLETE / 2:
            return
        misses = Misses(np.array([*left, part.left]), costs)
        if replace_two(part.pool, misses, rng):
            for got, a, before, after in zip(self._got, above, left, misses.left, strict=False):
                got[a] += before - after
            part.left = misses.left[-1]

    def _above(self, area: int) -> list[int]:
        """Return the positions of the areas around an area, coarsest first."""
        return [int(ancestors[area]) for ancestors in self._ancestors[:-1]]


@dataclass
class _Part:
    """An area that is rounded, and may still change.

    Attributes
    ----------
    records : (p,) whose units may change, and `pool`, these units.
    left : (K,) what the area misses.
    others, units : all other records that have units.
    """

    area: int
    records: np.ndarray
    pool: Pool
    left: np.ndarray
    others: np.ndarray
    units: np.ndarray

    def whole_weights(self) -> WholeWeights:
        """Return all units."""
        used = self.pool.units > 0
        records = np.concatenate([self.others, self.records[used]])
        units = np.concatenate([self.units, self.pool.units[used]]).astype(np.int64)
        order = np.argsort(records)
        return WholeWeights(records[order], units[order])


def _control(values: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return what to round to (K + 1,): controls that the weights' total (K + 1,) meets, else that total."""
    wanted = total.copy()
    wanted[:-1] = np.where(np.abs(values - total[:-1]) <= 0.5, values, total[:-1])
    wanted[-1] = np.rint(wanted[-1])
    return wanted


def _ancestors(parents: list[np.ndarray]) -> list[np.ndarray]:
    """Return, for each level, the position of the area there around each finest area, (A,)."""
    found = [np.arange(len(parents[-1]))]
    for own in reversed(parents[1:]):
        found.insert(0, own[found[0]])
    return found


def _similar_together(features: sp.csr_array) -> np.ndarray:
    """Return an order (n,) in which similar records are near: by the controls that vary most first."""
    if not features.shape[1]:
        return np.arange(features.shape[0])
    most = sp.csc_array(features)
    variance = np.asarray(most.multiply(most).mean(axis=0) - most.mean(axis=0) ** 2)
    leading = np.argsort(variance, kind="stable")[-MOST_SORTED:]
    return np.lexsort(most[:, leading].toarray().T)


def _systematic(rest: np.ndarray, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 0 or 1 for each fraction (n,), one with its probability, in a systematic sample."""
    ticks = np.floor(np.concatenate([[0.0], np.cumsum(rest[order])]) + rng.random())
    units = np.empty_like(rest)
    units[order] = np.minimum(np.diff(ticks), rest[order] > 0)
    return units


def _some(first: np.ndarray, rest: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return positions, at most so many: the first ones, half of them, and others by their fractions."""
    taken, others = np.flatnonzero(first & (rest > 0)), np.flatnonzero(~first & (rest > 0))
    if len(taken) > most // 2 and len(taken) + len(others) > most:
        taken = np.sort(rng.choice(taken, max(most // 2, most - len(others)), replace=False))
    room = most - len(taken)
    if len(others) > room:
        # a race of exponentials: a sample without replacement (Efraimidis and Spirakis 2006)
        race = rng.exponential(size=len(others)) / rest[others]
        others = np.sort(others[np.argsort(race, kind="stable")[:room]])
    return np.concatenate([taken, others])
