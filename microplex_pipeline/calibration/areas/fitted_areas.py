"""Fitted areas: a solution, from which the areas' final weights are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration.areas.joint_controls import joint_controls
from microplex_pipeline.calibration.areas.nested_allocation import NestedAllocation
from microplex_pipeline.calibration.areas.penalized_entropy import PenalizedEntropy
from microplex_pipeline.calibration.areas.report import area_report, counts
from microplex_pipeline.calibration.areas.sample import sample_area
from microplex_pipeline.calibration.areas.targets import AreaLevel
from microplex_pipeline.calibration.rounding.area_rounding import (
    AreaRounding,
    ControlLevel,
    WholeWeights,
    unit_costs,
)


@dataclass(frozen=True)
class FittedAreas:
    """A solution, and how the weights of each area are sampled and rounded.

    Attributes
    ----------
    solution : yields the weights (n,) of each area.
    levels : areas and targets, coarsest first.
    features : per level (K, n) sparse, the contribution of one unit of each record's weight to each
        target.
    ids : (n,) household or record numbers.
    weight_col : column of the weights.
    households_per_area : largest number of positive weights in an area, or None.
    integer : whether weights are rounded to integers.
    seed : of samples and rounding.
    """

    solution: NestedAllocation | PenalizedEntropy
    levels: list[AreaLevel]
    features: list[sp.csr_array]
    ids: pl.Series
    weight_col: str
    households_per_area: int | None
    integer: bool
    seed: int

    @property
    def rows(self) -> int:
        """Largest number of rows of the weights of all areas together."""
        if self.integer:
            return sum(len(whole.records) for whole in self._whole_weights)
        records = len(self.ids)
        return len(self.levels[-1].areas) * min(records, self.households_per_area or records)

    def stream(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield geoid and positive weights, a frame (id, weight), of each area in order of geoid."""
        for geoid, weights in zip(self.levels[-1].areas, self.weights(), strict=True):
            used = np.flatnonzero(weights)
            values = pl.Series(self.weight_col, weights[used])
            yield geoid, pl.DataFrame([self.ids[used], values])

    def weights(self) -> Iterator[np.ndarray]:
        """Yield the weights (n,) of each area, after sampling and rounding."""
        if not self.integer:
            yield from self._fractional()
            return
        for whole in self._whole_weights:
            weights = np.zeros(len(self.ids), np.int64)
            weights[whole.records] = whole.units
            yield weights

    def _fractional(self) -> Iterator[np.ndarray]:
        names = self.levels[-1].targets.names
        for area, weights in enumerate(self.solution.areas()):
            if self.households_per_area is None:
                yield weights
            else:
                rng = np.random.default_rng([self.seed, area])
                yield sample_area(weights, self.features[-1], names, self.households_per_area, rng)

    @cached_property
    def _whole_weights(self) -> list[WholeWeights]:
        """Rounded once, because what an area gets depends on others; only records with units are kept."""
        features, places = joint_controls(self.levels, self.features)
        costs = unit_costs(features)
        controls = []
        for level, place in zip(self.levels, places, strict=True):
            values, own = np.zeros((len(level.areas), len(costs))), np.zeros(len(costs))
            values[:, place], own[place] = level.values, costs[place]
            controls.append(ControlLevel(level.parents, values, own))
        return list(AreaRounding(features, controls, self.seed).round(self._fractional()))

    def report(self, values: list[np.ndarray]) -> tuple[pl.DataFrame, np.ndarray]:
        """Return the report, and each record's sum over the areas (n,).

        Parameters
        ----------
        values : per level (A, K), the targets after scaling. They may be filled in while the weights are
            computed.
        """
        achieved = [np.zeros_like(v) for v in values]
        sums = np.zeros(len(self.ids))
        for leaf, weights in enumerate(self.weights()):
            sums += weights
            area = leaf
            for depth in range(len(values) - 1, -1, -1):
                achieved[depth][area] += self.features[depth] @ weights
                area = self.levels[depth].parents[area]
        tables = [
            area_report(level, v, a, m, counts(f) if self.integer else None)
            for level, v, a, m, f in zip(
                self.levels,
                values,
                achieved,
                self.solution.multipliers,
                self.features,
                strict=True,
            )
        ]
        return pl.concat(tables), sums
