"""Controlled rounding of one set of weights."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.rounding.area_rounding import (
    AreaRounding,
    ControlLevel,
    unit_costs,
)

MOST_RECORDS = (
    10_000  # whose weights may change after the sample; one set of weights may have many controls
)


def round_weights(
    matrix: sp.csr_array, values: np.ndarray, weights: np.ndarray, seed: int
) -> np.ndarray:
    """Return whole weights (n,), each rounded down or up, that keep to the constraints.

    Parameters
    ----------
    matrix, values : (m, n) sparse and (m,), the constraints that `weights` meet.
    weights : (n,) non-negative.
    seed : of the sample from which the search starts.
    """
    features = sp.csr_array(matrix.T)
    level = ControlLevel(np.zeros(1, np.int64), values[None], unit_costs(features))
    (whole,) = AreaRounding(features, [level], seed, MOST_RECORDS).round([weights])
    result = np.zeros(len(weights), np.int64)
    result[whole.records] = whole.units
    return result
