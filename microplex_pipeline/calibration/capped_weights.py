"""Weights of a state's households: raking, or within bounds if they are capped."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.reweighter import Reweighter
from microplex_pipeline.calibration.targets.table import Targets

GIVE = 0.01  # relative standard error of modelled targets that bounded weights cannot meet


def calibrated_weights(
    records: pl.DataFrame,
    targets: pl.DataFrame,
    weight: str,
    household_id: str,
    bounds: tuple[float, float] | None = None,
) -> pl.DataFrame:
    """Return records with the weights that meet the targets and are closest to the design weights.

    Without bounds this is raking. With bounds the distance is the logit's (Deville and Särndal 1992, case
    6). If no weights within the bounds meet all targets, the published ones are met, and the modelled ones
    about as closely as the bounds allow, at the smallest chi-square distance; the target report then shows
    by how much they are missed.

    Parameters
    ----------
    records : with design weights.
    targets : long table of targets, see `Targets`.
    weight, household_id : columns of the weight, and of the household's number.
    bounds : lowest and highest ratio of weight to design weight; None for no bounds.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        As `Reweighter.fit`. With bounds: if they allow no weights that meet the published targets.
    """
    if bounds is None:
        return _fitted(Reweighter(distance="raking"), records, targets, weight, household_id)
    try:
        exact = Reweighter(distance="logit", bounds=bounds)
        return _fitted(exact, records, targets, weight, household_id)
    except CalibrationError:
        modelled = pl.col("kind") == "modelled"
        giving = targets.with_columns(
            pl.when(modelled).then(GIVE).otherwise(0.0).alias("tolerance")
        )
        giving = giving.drop("standard_error", strict=False)
        # the logit never reaches its bounds, which a target that asks for more would need
        soft = Reweighter(distance="chi2", bounds=bounds, soft=True)
        try:
            return _fitted(soft, records, giving, weight, household_id)
        except CalibrationError as error:
            low, high = bounds
            raise type(error)(
                f"no weights between {low:g} and {high:g} times the design weights meet the published "
                f"targets: {error}. Widen calibration.bounds",
                *([error.targets] if hasattr(error, "targets") else []),
            ) from error


def _fitted(
    reweighter: Reweighter,
    records: pl.DataFrame,
    targets: pl.DataFrame,
    weight: str,
    household_id: str,
) -> pl.DataFrame:
    return reweighter.fit_transform(records, Targets(targets), weight, household_id=household_id)
