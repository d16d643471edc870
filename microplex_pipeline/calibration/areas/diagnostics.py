"""How well each area meets its targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration.areas.targets import AreaLevel
from microplex_pipeline.calibration.targets.table import KEY

ROUNDING = 1e-6  # of a sum of whole numbers


def counts(features: sp.csr_array) -> np.ndarray:
    """Return whether each target (K,) gets a whole number from every record, given features (K, n)."""
    broken = sp.csr_array(features != features.rint())
    return np.diff(broken.indptr) == 0


def diagnostics_table(
    level: AreaLevel, values: np.ndarray, achieved: np.ndarray, whole: np.ndarray | None = None
) -> pl.DataFrame:
    """Return the diagnostics of one level, a row per area and target.

    Parameters
    ----------
    values : (A, K) targets, after scaling.
    achieved : (A, K) totals under the weights.
    whole : (K,) for whole weights, whether a target's totals are whole numbers, too.

    Returns
    -------
    Columns geoid, target, entity, measure, variable, domain, value, achieved, relative_error (over
    max(|value|, 1)) and z (the error in standard errors; null without them). For whole weights also nearest,
    whether no whole number is nearer to the value than what was achieved; null for amounts.
    """
    features = level.targets.table.select("target", *KEY)
    areas, K = len(level.areas), features.height
    error = achieved - values
    z: Any = pl.lit(None, pl.Float64)
    if level.standard_errors is not None:
        z = pl.Series((error / level.standard_errors).ravel())
    table = pl.concat([features] * areas).select(
        pl.Series("geoid", np.repeat(level.areas, K), dtype=pl.String),
        pl.all(),
        value=pl.Series(values.ravel()),
        achieved=pl.Series(achieved.ravel()),
        relative_error=pl.Series((error / np.maximum(np.abs(values), 1.0)).ravel()),
        z=z,
    )
    if whole is None:
        return table
    nearest = np.abs(error) <= np.abs(values - np.rint(values)) + ROUNDING
    known = np.tile(whole, areas)
    return table.with_columns(
        pl.when(pl.Series(known)).then(pl.Series(nearest.ravel())).alias("nearest")
    )
