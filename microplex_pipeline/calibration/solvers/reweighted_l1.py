"""Fewest records within tolerances: iteratively reweighted L1.

If targets may be missed by a tolerance, fewer records than independent targets can suffice. Linear
programmes whose costs are the inverse of the last weights drop more and more records (Candes, Wakin and
Boyd 2008, Journal of Fourier Analysis and Applications 14: 877-905).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import CalibrationError, NotConverged
from microplex_pipeline.calibration.solvers.distances import ChiSquare
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.solvers.highs import linear_programme
from microplex_pipeline.calibration.solvers.recombination import recombined
from microplex_pipeline.calibration.solvers.vertex import solve_vertex
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.table import listed

PASSES = 8
POOL = 8  # unused records per target that a programme may choose from
TIGHT = 0.01  # standard errors, as shares of the tolerances, of the soft solution to start from
SMALL = 0.1  # added to weights so that the cost of an unused record is finite, in design weights


def solve_within(
    constraints: Constraints, design: np.ndarray, deviations: np.ndarray, max_iter: int, seed: int
) -> np.ndarray:
    """Return weights (n,), few of them positive, with |A w - b| <= deviations.

    Parameters
    ----------
    design : (n,) positive design weights.
    deviations : (m,) how far each target may be off; zero if it must be met exactly.
    max_iter : as for `solve_vertex` and `solve_dual`.
    seed : of the unused records that are tried.

    Raises
    ------
    InfeasibleTargets, NotConverged
        If no weights within the tolerances were found.
    """
    rng = np.random.default_rng(seed)
    size = constraints.sizes(design)
    A = sp.csr_array(sp.diags_array(1 / size) @ constraints.matrix @ sp.diags_array(design))
    low, high = ((constraints.values + s * deviations) / size for s in (-1, 1))
    best = _start(constraints, design, deviations, max_iter) / design
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
    constraints: Constraints, design: np.ndarray, deviations: np.ndarray, max_iter: int
) -> np.ndarray:
    """Return weights within the tolerances: exact ones, or else those with the smallest misses."""
    try:
        return solve_vertex(constraints, design, max_iter)
    except CalibrationError:
        soft = solve_dual(
            constraints, design, ChiSquare(), max_iter, variances=(deviations * TIGHT) ** 2
        ).weights
    off = np.abs(constraints.matrix @ soft - constraints.values) > deviations + 1e-9 * (
        constraints.sizes(design)
    )
    if off.any():
        names = [constraints.names[i] for i in np.flatnonzero(off)]
        raise NotConverged(
            f"no weights were found within the tolerances: {listed(names)} are missed by more. Widen "
            "the tolerances, or drop a target"
        )
    return recombined(constraints.matrix, soft)
