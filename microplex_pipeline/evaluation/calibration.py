"""Diagnostics of calibrated weights: what each target reached, and how unequal the weights are."""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.calibration import Targets, build_constraints


def target_errors(
    records: pl.DataFrame, targets: pl.DataFrame, weight: str, household_id: str
) -> pl.DataFrame:
    """Return the targets with what the weights reach.

    Parameters
    ----------
    records : weighted records.
    targets : long table of targets.

    Returns
    -------
    The targets' columns, and `target` (its name), `achieved`, and `relative_error`, which is
    (achieved - value) / max(|value|, 1).
    """
    checked = Targets(targets)
    constraints = build_constraints(records, checked, household_id)
    first = records.unique(household_id, keep="first", maintain_order=True)
    weights = first[weight].cast(pl.Float64).to_numpy()
    return checked.table.with_columns(
        pl.Series("achieved", constraints.matrix @ weights),
        pl.Series("relative_error", constraints.relative_errors(weights)),
    )


def design_effect(weights: np.ndarray) -> float:
    """Return Kish's design effect of unequal weighting, 1 + cv^2 (Kish 1965, Survey Sampling)."""
    return float(len(weights) * np.square(weights).sum() / np.square(weights.sum()))


def effective_sample_size(weights: np.ndarray) -> float:
    """Return Kish's effective sample size, n / design effect."""
    return len(weights) / design_effect(weights)
