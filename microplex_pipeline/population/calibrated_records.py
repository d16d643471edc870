"""Synthetic records with weights that meet targets."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration.capped_weights import calibrated_weights
from microplex_pipeline.calibration.targets.derived import with_derived
from microplex_pipeline.calibration.targets.sources import TargetSources
from microplex_pipeline.survey import SurveySchema


def calibrated_records(
    records: pl.DataFrame,
    targets: pl.DataFrame,
    schema: SurveySchema,
    sources: TargetSources,
    surveyed: int,
    bounds: tuple[float, float] | None = None,
) -> pl.DataFrame:
    """Return the records with calibrated weights, and their former ones in `design_weight`.

    All units of a household have the same weight. See `calibrated_weights`.

    Parameters
    ----------
    records : synthetic tax units.
    targets : rows of `state_targets`.
    sources : of the targets, for the derived columns that they name.
    surveyed : number of households of the survey that the records were made from.
    bounds : lowest and highest ratio of weight to design weight; None for no bounds.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        As `calibrated_weights`.
    """
    keys = {"year": schema.year, "household_id": schema.household}
    derived = with_derived(records, sources, targets, **keys)
    weighted = calibrated_weights(
        derived, targets, schema.weight, schema.household, bounds, surveyed
    )
    return records.with_columns(
        weighted[schema.weight], records[schema.weight].alias("design_weight")
    )
