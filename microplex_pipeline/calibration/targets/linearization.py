"""Standard errors of a survey's totals, by linearization, for households sampled within a state.

The total of a calibrated survey varies as the total of the residuals of its variable on the variables that
it was calibrated to (Deville and Sarndal 1992, Journal of the American Statistical Association 87, section
3). With households drawn with replacement, the variance of a weighted total is n/(n-1) times the sum of
squared deviations of the households' weighted residuals from their mean (Wolter 2007, Introduction to
Variance Estimation, section 1.4).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.table import KEY, Targets


def standard_errors(
    survey: pl.DataFrame,
    targets: pl.DataFrame,
    met: pl.DataFrame | None,
    *,
    weight: str,
    household_id: str,
) -> np.ndarray:
    """Return the standard error of each total of a survey, (m,).

    Parameters
    ----------
    survey : one row per record, with calibrated weights.
    targets : m counts and sums: columns entity, measure, variable, domain.
    met : long table of targets that the weights were calibrated to; None if they were not calibrated.
    weight, household_id : columns of the weights and of household numbers.
    """
    weights = survey.unique(household_id, keep="first", maintain_order=True)[weight]
    w = weights.cast(pl.Float64).to_numpy()
    rows = _rows(survey, targets, household_id)
    if met is not None and met.height:
        rows = rows - _fitted(rows, _rows(survey, met, household_id), w)
    weighted = rows * w
    deviations = weighted - weighted.mean(axis=1, keepdims=True)
    households = len(w)
    variance = np.square(deviations).sum(axis=1) * households / max(households - 1, 1)
    return np.asarray(np.sqrt(variance))


def _rows(survey: pl.DataFrame, targets: pl.DataFrame, household_id: str) -> np.ndarray:
    """Return each household's contribution to each total, (m, households)."""
    asked = Targets(targets.select(KEY).with_columns(value=0.0))
    return build_constraints(survey, asked, household_id).matrix.toarray()


def _fitted(rows: np.ndarray, on: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the weighted least squares fit of rows (m, n) on other rows (k, n)."""
    size = np.sqrt((on**2) @ w)
    scaled = on / np.where(size > 0, size, 1.0)[:, None]
    coefficients, *_ = np.linalg.lstsq((scaled * w) @ scaled.T, (scaled * w) @ rows.T, rcond=1e-10)
    return np.asarray(coefficients.T @ scaled)
