"""Weights of a state's households: raking, or within bounds if they are capped."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.reweighter import Reweighter
from microplex_pipeline.calibration.targets.table import Targets


def calibrated_weights(
    records: pl.DataFrame,
    targets: pl.DataFrame,
    weight: str,
    household_id: str,
    bounds: tuple[float, float] | None = None,
    surveyed: int | None = None,
) -> pl.DataFrame:
    """Return records with the weights that meet the targets and are closest to the design weights.

    Without bounds this is raking. With bounds the distance is the chi-square's within them, which can reach
    both (Deville and Särndal 1992, case 7). Targets with a standard error are met within it, and give way if
    no weights within the bounds meet them; the target report then shows by how much they are missed.

    Parameters
    ----------
    records : with design weights.
    targets : long table of targets, see `Targets`.
    weight, household_id : columns of the weight, and of the household's number.
    bounds : lowest and highest ratio of weight to design weight; None for no bounds.
    surveyed : number of households of the survey that the records were made from, if they are more than it
        had. Together they then count as no more observations than those, see `Reweighter`.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        As `Reweighter.fit`. With bounds: if they allow no weights that meet the exact targets.
    """
    asked = Targets(targets)
    made_from_fewer = surveyed is not None and surveyed < records[household_id].n_unique()
    try:
        return Reweighter(
            distance="raking" if bounds is None else "chi2",
            bounds=bounds,
            soft=asked.any_soft,
            observations=surveyed if made_from_fewer and asked.any_soft else None,
        ).fit_transform(records, asked, weight, household_id=household_id)
    except CalibrationError as error:
        if bounds is None:
            raise
        low, high = bounds
        raise type(error)(
            f"no weights between {low:g} and {high:g} times the design weights meet the exact targets: "
            f"{error}. Widen calibration.bounds",
            *([error.targets] if hasattr(error, "targets") else []),
        ) from error
