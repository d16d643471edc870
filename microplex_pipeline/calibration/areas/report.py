"""How well each area meets its targets."""

from __future__ import annotations

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


def area_report(
    level: AreaLevel,
    values: np.ndarray,
    achieved: np.ndarray,
    multipliers: np.ndarray,
    whole: np.ndarray | None = None,
) -> pl.DataFrame:
    """Return the report of one level, a row per area and target.

    Parameters
    ----------
    values : (A, K) targets, after scaling.
    achieved : (A, K) totals under the weights.
    multipliers : (A, K) dual values.
    whole : (K,) for whole weights, whether a target's totals are whole numbers, too.

    Returns
    -------
    Columns geoid, target, entity, measure, variable, domain, value, achieved, error (achieved - value),
    relative_error (over max(|value|, 1)), z (the error in standard errors; null without them), multiplier and
    kind (exact, within or penalized). For whole weights also nearest, whether no whole number is nearer to
    the value than what was achieved; null for amounts.
    """
    features = level.targets.table.select("target", *KEY)
    areas, K = len(level.areas), features.height
    error = achieved - values
    sizes = level.precision.standard_errors
    z = np.divide(error, sizes, out=np.full_like(error, np.nan), where=sizes > 0)
    table = pl.concat([features] * areas).select(
        pl.Series("geoid", np.repeat(level.areas, K), dtype=pl.String),
        pl.all(),
        value=pl.Series(values.ravel()),
        achieved=pl.Series(achieved.ravel()),
        error=pl.Series(error.ravel()),
        relative_error=pl.Series((error / np.maximum(np.abs(values), 1.0)).ravel()),
        z=pl.Series(z.ravel()).fill_nan(None),
        multiplier=pl.Series(multipliers.ravel()),
        kind=pl.Series(level.precision.flat().kinds, dtype=pl.String),
    )
    if whole is None:
        return table
    nearest = np.abs(error) <= np.abs(values - np.rint(values)) + ROUNDING
    known = np.tile(whole, areas)
    return table.with_columns(
        pl.when(pl.Series(known)).then(pl.Series(nearest.ravel())).alias("nearest")
    )
