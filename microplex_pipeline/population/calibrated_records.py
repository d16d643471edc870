"""Synthetic records with weights that meet targets."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration import Reweighter, Targets
from microplex_pipeline.calibration.targets.derived import with_derived
from microplex_pipeline.calibration.targets.sources import TargetSources
from microplex_pipeline.survey import SurveySchema


def calibrated_records(
    records: pl.DataFrame, targets: pl.DataFrame, schema: SurveySchema, sources: TargetSources
) -> pl.DataFrame:
    """Return the records with calibrated weights, and their former ones in `design_weight`.

    Raking gives the positive weights that meet the targets, those with a standard error within it, and are
    closest to the design weights. All units of a household have the same weight.

    Parameters
    ----------
    records : synthetic tax units.
    targets : rows of `state_targets`.
    sources : of the targets, for the derived columns that they name.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        As `Reweighter.fit`.
    """
    asked = Targets(targets)
    keys = {"year": schema.year, "household_id": schema.household}
    reweighter = Reweighter(distance="raking", soft=asked.any_soft).fit(
        with_derived(records, sources, targets, **keys),
        asked,
        schema.weight,
        household_id=schema.household,
    )
    return reweighter.transform(records).with_columns(
        records[schema.weight].alias("design_weight")
    )
