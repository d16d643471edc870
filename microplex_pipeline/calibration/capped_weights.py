"""Weights of a state's households: raking, or within bounds if they are capped."""

from __future__ import annotations

from typing import Literal

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
) -> pl.DataFrame:
    """Return records with the weights that meet the targets and are closest to the design weights.

    Without bounds this is raking. With bounds the distance is the logit's (Deville and Särndal 1992, case
    6). Targets with a standard error are met within it, and give way if no weights within the bounds meet
    them; the target report then shows by how much they are missed.

    Parameters
    ----------
    records : with design weights.
    targets : long table of targets, see `Targets`.
    weight, household_id : columns of the weight, and of the household's number.
    bounds : lowest and highest ratio of weight to design weight; None for no bounds.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        As `Reweighter.fit`. With bounds: if they allow no weights that meet the exact targets.
    """
    asked = Targets(targets)
    if bounds is None:
        return _fitted("raking", None, records, asked, weight, household_id)
    try:
        return _fitted("logit", bounds, records, asked, weight, household_id)
    except CalibrationError:
        pass  # the logit never reaches its bounds, which a target may need; the chi-square distance does
    try:
        return _fitted("chi2", bounds, records, asked, weight, household_id)
    except CalibrationError as error:
        low, high = bounds
        raise type(error)(
            f"no weights between {low:g} and {high:g} times the design weights meet the exact targets: "
            f"{error}. Widen calibration.bounds",
            *([error.targets] if hasattr(error, "targets") else []),
        ) from error


def _fitted(
    distance: Literal["raking", "logit", "chi2"],
    bounds: tuple[float, float] | None,
    records: pl.DataFrame,
    targets: Targets,
    weight: str,
    household_id: str,
) -> pl.DataFrame:
    reweighter = Reweighter(distance=distance, bounds=bounds, soft=targets.any_soft)
    return reweighter.fit_transform(records, targets, weight, household_id=household_id)
