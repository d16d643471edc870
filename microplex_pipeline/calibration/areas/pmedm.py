"""P-MEDM of the levels of a table of area targets."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.areas.penalized_entropy import (
    PenalizedEntropy,
    fit_penalized_entropy,
)
from microplex_pipeline.calibration.areas.targets import AreaLevel
from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.table import listed


def fit_pmedm(
    levels: list[AreaLevel], features: list[sp.csr_array], weights: np.ndarray
) -> PenalizedEntropy:
    """Put every level's targets in the order of the finest level, and solve.

    Parameters
    ----------
    levels : coarsest first, with standard errors.
    features : per level (K, n) sparse, the contribution of one unit of each record's weight to each
        target.
    weights : (n,) positive design weights.

    Raises
    ------
    CalibrationError
        If the levels have different targets.
    NotConverged
        As `fit_penalized_entropy`.
    """
    names = levels[-1].targets.names
    estimates, variances = [], []
    for level in levels:
        if differing := sorted(set(names) ^ set(level.targets.names)):
            raise CalibrationError(
                "pmedm needs the same targets at every level, but only some have: "
                f"{listed(differing)}"
            )
        assert level.standard_errors is not None
        order = [level.targets.names.index(name) for name in names]
        estimates.append(level.values[:, order])
        variances.append(level.standard_errors[:, order] ** 2)
    return fit_penalized_entropy(
        sp.csr_array(features[-1].T),
        weights,
        levels[-1].prior_shares(),
        [level.parents for level in levels[1:]],
        estimates,
        variances,
    )
