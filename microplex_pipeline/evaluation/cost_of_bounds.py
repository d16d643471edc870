"""What it costs to cap the weights: targets that are missed, and what the weights would be without."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from microplex_pipeline.calibration.capped_weights import calibrated_weights
from microplex_pipeline.evaluation.diagnostics import is_met, target_errors, weight_summary


class CostOfBounds(NamedTuple):
    """Weights within bounds beside those without.

    Attributes
    ----------
    bounds : lowest and highest ratio of weight to design weight.
    at_bounds : households whose ratio is within a hundredth of a bound.
    capped, free : summaries of the weights with and without bounds, see `weight_summary`.
    missed : names of the targets missed with bounds, but not without.
    """

    bounds: tuple[float, float]
    at_bounds: int
    capped: dict[str, float]
    free: dict[str, float]
    missed: list[str]


def cost_of_bounds(
    calibrated: pl.DataFrame,
    targets: pl.DataFrame,
    weight: str,
    household_id: str,
    bounds: tuple[float, float],
    tolerance: float,
    max_z: float,
    surveyed: int | None = None,
) -> CostOfBounds:
    """Calibrate once more without bounds, and compare.

    Parameters
    ----------
    calibrated : records with weights within the bounds, and `design_weight`.
    targets : long table of targets, see `Targets`.
    surveyed : see `calibrated_weights`.
    tolerance, max_z : when a target is met, see `is_met`.
    """
    start = calibrated.with_columns(pl.col("design_weight").alias(weight))
    free = calibrated_weights(start, targets, weight, household_id, surveyed=surveyed)
    both = [f.unique(household_id, keep="first", maintain_order=True) for f in (calibrated, free)]
    design = both[0]["design_weight"].to_numpy()
    weights = [f[weight].to_numpy() for f in both]
    missed = [
        set(
            target_errors(frame, targets, weight, household_id)
            .filter(~is_met(tolerance, max_z))["target"]
            .to_list()
        )
        for frame in (calibrated, free)
    ]
    ratios = weights[0] / design
    low, high = bounds
    near = (ratios < low + 0.01) | (ratios > high - 0.01)
    return CostOfBounds(
        bounds,
        int(near.sum()),
        weight_summary(weights[0], design),
        weight_summary(weights[1], design),
        sorted(missed[0] - missed[1]),
    )
