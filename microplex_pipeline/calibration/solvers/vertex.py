"""Vertices of the feasible weights: at most as many records as independent targets.

Every vertex of {A w = b, w >= 0} has at most rank(A) positive weights, so the sparsest weights are
vertices. A feasible point from the dual is first thinned by recombination. The linear programme then has
only a few records per target. If weights have costs, further records join according to their reduced
costs (column generation; Dantzig and Wolfe 1960, Operations Research 8: 101-111).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights
from microplex_pipeline.calibration.solvers.distances import ChiSquare
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.solvers.highs import linear_programme
from microplex_pipeline.calibration.solvers.recombination import recombined
from microplex_pipeline.calibration.targets.constraints import Constraints

NEWTON_STEPS = 60
REFINEMENTS = 4


def solve_vertex(
    constraints: Constraints, design: np.ndarray, max_iter: int, cost: np.ndarray | None = None
) -> np.ndarray:
    """Return weights (n,) at a vertex of the feasible set, of least cost if costs are given.

    Parameters
    ----------
    design : (n,) positive design weights; the search for a vertex starts near them.
    max_iter : largest number of rounds of column generation.
    cost : (n,) non-negative costs per unit of weight, or None for any vertex.

    Raises
    ------
    InfeasibleTargets
        If no weights meet the targets; names a smallest conflicting set.
    NotConverged
        If `max_iter` rounds were not enough.
    """
    try:
        start = solve_dual(constraints, design, ChiSquare(), NEWTON_STEPS).weights
    except NotConverged:
        start = feasible_weights(constraints, design, max_iter)
    if constraints.denominators is not None:
        constraints = _with_denominators(constraints, start)
    start = recombined(constraints.matrix, start)
    if not start.any():
        return start
    unit = np.where(start > 0, start, design)
    A, b = _in_units(constraints, unit)
    At = sp.csr_array(A.T)
    pool = np.flatnonzero(start)
    # scaled to at most one: HiGHS fails on costs in the millions
    price = np.zeros(len(unit)) if cost is None else cost * unit / float((cost * unit).max())
    for _ in range(max_iter):
        x, dual = linear_programme(price[pool], A[:, pool], b, b)
        better = np.zeros(0, np.int64)
        if cost is not None:
            gain = At @ dual - price
            gain[pool] = 0.0
            better = np.argsort(-gain)[: 2 * len(b)]
            better = better[gain[better] > 1e-9]
        if not len(better):
            return _polished(A, b, pool, x) * unit
        pool = np.union1d(pool, better)
    raise NotConverged(f"no vertex was reached in {max_iter} rounds: raise max_iter")


def _with_denominators(constraints: Constraints, start: np.ndarray) -> Constraints:
    """Fix the denominators of means and ratios at their starting values, so that they stay positive."""
    below = constraints.denominators
    rows = np.flatnonzero(np.diff(below.indptr)) if below is not None else np.zeros(0, int)
    held = sp.csr_array(below[rows])  # type: ignore[index]
    return Constraints(
        sp.csr_array(sp.vstack([constraints.matrix, held])),
        np.concatenate([constraints.values, held @ start]),
        [*constraints.names, *[f"denominator of {constraints.names[i]}" for i in rows]],
    )


def _in_units(constraints: Constraints, unit: np.ndarray) -> tuple[sp.csr_array, np.ndarray]:
    """Scale columns by typical weights and rows by their largest entry: HiGHS drops tiny entries."""
    A = sp.csr_array(constraints.matrix @ sp.diags_array(unit))
    largest = abs(A).max(axis=1).toarray().ravel()
    largest = np.where(largest > 0, largest, 1.0)
    return sp.csr_array(sp.diags_array(1 / largest) @ A), constraints.values / largest


def _polished(A: sp.csr_array, b: np.ndarray, pool: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Solve the vertex's equations to rounding: HiGHS stops at 1e-7."""
    weights = np.zeros(A.shape[1])
    support = pool[x > 1e-10 * x.max(initial=0.0)]
    basis = A[:, support]
    size = np.sqrt(np.asarray(basis.multiply(basis).sum(axis=0)).ravel())
    scaled = sp.csr_array(basis @ sp.diags_array(1 / size))
    transposed = sp.csr_array(scaled.T)
    normal = sp.csc_array(transposed @ scaled + 1e-14 * sp.eye_array(len(size)))
    solve = scipy.sparse.linalg.splu(normal).solve
    z = x[x > 1e-10 * x.max(initial=0.0)] * size
    for _ in range(REFINEMENTS):
        z = z + solve(transposed @ (b - scaled @ z))
    weights[support] = np.maximum(z / size, 0.0)
    return weights
