"""P-MEDM of the levels of a table of area targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.areas.joint_controls import joint_controls
from microplex_pipeline.calibration.areas.penalized_entropy import (
    PenalizedEntropy,
    fit_penalized_entropy,
)
from microplex_pipeline.calibration.areas.targets import AreaLevel

# standard error, in populations, of a target that a level does not have: it moves no weight
UNKNOWN = 1e6


def fit_pmedm(
    levels: list[AreaLevel], features: list[sp.csr_array], weights: np.ndarray
) -> PenalizedEntropy:
    """Put every level's targets in one order, and solve.

    Parameters
    ----------
    levels : coarsest first, with standard errors. A level need not have the targets of others.
    features : per level (K, n) sparse, the contribution of one unit of each record's weight to each
        target.
    weights : (n,) positive design weights.

    Raises
    ------
    NotConverged
        As `fit_penalized_entropy`.
    """
    matrix, places = joint_controls(levels, features)
    estimates, variances = [], []
    for level, place in zip(levels, places, strict=True):
        shape = (len(level.areas), matrix.shape[1])
        values, errors = np.zeros(shape), np.full(shape, UNKNOWN * weights.sum())
        values[:, place], errors[:, place] = level.values, np.sqrt(level.precision.variances)
        estimates.append(values)
        variances.append(errors**2)
    found = fit_penalized_entropy(
        matrix,
        weights,
        levels[-1].prior_shares(),
        [level.parents for level in levels[1:]],
        estimates,
        variances,
    )
    multipliers = [x[:, place] for x, place in zip(found.multipliers, places, strict=True)]
    return replace(found, multipliers=multipliers)
