"""Synthetic records with weights that meet targets."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration import Reweighter, Targets
from microplex_pipeline.survey import SurveySchema


def calibrated_records(
    records: pl.DataFrame, targets: pl.DataFrame, schema: SurveySchema
) -> pl.DataFrame:
    """Return the records with calibrated weights, and their former ones in `design_weight`.

    Raking gives the positive weights that meet the targets and are closest to the design weights. All
    units of a household have the same weight.

    Parameters
    ----------
    records : synthetic tax units.
    targets : rows of `state_targets`.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        As `Reweighter.fit`.
    """
    calibrated = Reweighter(distance="raking").fit_transform(
        records, Targets(targets), schema.weight, household_id=schema.household
    )
    return calibrated.with_columns(records[schema.weight].alias("design_weight"))
