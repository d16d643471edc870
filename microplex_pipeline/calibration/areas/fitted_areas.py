"""Fitted areas: a solution, from which the areas' final weights are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration.areas.diagnostics import diagnostics_table
from microplex_pipeline.calibration.areas.integer_weights import integer_weights
from microplex_pipeline.calibration.areas.nested_allocation import NestedAllocation
from microplex_pipeline.calibration.areas.penalized_entropy import PenalizedEntropy
from microplex_pipeline.calibration.areas.sample import sample_area
from microplex_pipeline.calibration.areas.targets import AreaLevel


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

    def stream(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield geoid and positive weights, a frame (id, weight), of each area in order of geoid."""
        for geoid, weights in zip(self.levels[-1].areas, self.weights(), strict=True):
            used = np.flatnonzero(weights)
            values = pl.Series(self.weight_col, weights[used])
            yield geoid, pl.DataFrame([self.ids[used], values])

    def weights(self) -> Iterator[np.ndarray]:
        """Yield the weights (n,) of each area, after sampling and rounding."""
        names = self.levels[-1].targets.names
        for area, weights in enumerate(self.solution.areas()):
            rng = np.random.default_rng([self.seed, area])
            if self.households_per_area is not None:
                weights = sample_area(
                    weights, self.features[-1], names, self.households_per_area, rng
                )
            yield integer_weights(weights, rng) if self.integer else weights

    def diagnose(self, values: list[np.ndarray]) -> tuple[pl.DataFrame, np.ndarray]:
        """Return the diagnostics, and each record's sum over the areas (n,).

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
            diagnostics_table(level, v, a)
            for level, v, a in zip(self.levels, values, achieved, strict=True)
        ]
        return pl.concat(tables), sums
