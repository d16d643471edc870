"""Fewest records within tolerances: iteratively reweighted L1.

If targets may be missed by a tolerance, fewer records than independent targets can suffice. Linear
programmes whose costs are the inverse of the last weights drop more and more records (Candes, Wakin and
Boyd 2008, Journal of Fourier Analysis and Applications 14: 877-905).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights
from microplex_pipeline.calibration.solvers.distances import ChiSquare
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.solvers.highs import linear_programme
from microplex_pipeline.calibration.solvers.recombination import recombined
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision

PASSES = 8
POOL = 8  # unused records per target that a programme may choose from
NEWTON_STEPS = 60
INSIDE = (
    3e-7  # how far inside its limits a total stays, as a share of its size: HiGHS stops at 1e-7
)
SMALL = 0.1  # added to weights so that the cost of an unused record is finite, in design weights


def solve_within(
    constraints: Constraints, design: np.ndarray, precision: Precision, max_iter: int, seed: int
) -> np.ndarray:
    """Return weights (n,), few of them positive, that meet targets within their limits.

    Parameters
    ----------
    design : (n,) positive design weights.
    precision : the limits, in units of the rows; no target is penalized.
    max_iter : of `feasible_weights`.
    seed : of the unused records that are tried.

    Raises
    ------
    InfeasibleTargets, NotConverged
        If no weights within the tolerances were found.
    """
    rng = np.random.default_rng(seed)
    size = constraints.sizes(design)
    A = sp.csr_array(sp.diags_array(1 / size) @ constraints.matrix @ sp.diags_array(design))
    width = (precision.below + precision.above) / size
    inside = np.minimum(INSIDE, width / 4)
    low = (constraints.values - precision.below) / size + inside
    high = (constraints.values + precision.above) / size - inside
    best = _start(constraints, design, precision, max_iter) / design
    others = rng.permutation(len(design))[: POOL * len(low)]
    ratios = best
    for _ in range(PASSES):
        pool = np.union1d(np.flatnonzero(ratios), others)
        cost = 1 / (ratios[pool] + SMALL)
        x, _ = linear_programme(cost, A[:, pool], low, high)
        ratios = np.zeros(len(design))
        ratios[pool] = np.where(x > 1e-9 * x.max(), x, 0.0)
        if np.count_nonzero(ratios) < np.count_nonzero(best):
            best = ratios
    return best * design


def _start(
    constraints: Constraints, design: np.ndarray, precision: Precision, max_iter: int
) -> np.ndarray:
    """Return some weights within the limits, a few per target positive."""
    try:
        start = solve_dual(
            constraints, design, ChiSquare(), NEWTON_STEPS, precision=precision
        ).weights
    except NotConverged:
        start = feasible_weights(constraints, design, max_iter, precision=precision)
    return recombined(constraints.matrix, start)
