"""How well each area meets its targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.calibration.areas.targets import AreaLevel
from microplex_pipeline.calibration.targets.table import KEY


def diagnostics_table(level: AreaLevel, values: np.ndarray, achieved: np.ndarray) -> pl.DataFrame:
    """Return the diagnostics of one level, a row per area and target.

    Parameters
    ----------
    values : (A, K) targets, after scaling.
    achieved : (A, K) totals under the weights.

    Returns
    -------
    Columns geoid, target, entity, measure, variable, domain, value, achieved, relative_error (over
    max(|value|, 1)) and z (the error in standard errors; null without them).
    """
    features = level.targets.table.select("target", *KEY)
    areas, K = len(level.areas), features.height
    error = achieved - values
    z: Any = pl.lit(None, pl.Float64)
    if level.standard_errors is not None:
        z = pl.Series((error / level.standard_errors).ravel())
    return pl.concat([features] * areas).select(
        pl.Series("geoid", np.repeat(level.areas, K), dtype=pl.String),
        pl.all(),
        value=pl.Series(values.ravel()),
        achieved=pl.Series(achieved.ravel()),
        relative_error=pl.Series((error / np.maximum(np.abs(values), 1.0)).ravel()),
        z=z,
    )
