"""A sample of an area's records that keeps its totals.

A systematic sample in proportion to weight is joined with the few records of a vertex, whose weights
meet the totals exactly. Linear calibration of both together therefore always has a solution.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.solvers.blas_threads import one_blas_thread
from microplex_pipeline.calibration.solvers.distances import ChiSquare
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.solvers.vertex import solve_vertex
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.sampling import systematic_counts

MAX_STEPS = 300


def sample_area(
    weights: np.ndarray,
    features: sp.csr_array,
    names: list[str],
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return weights (n,), at most `size` of them positive, with the same weighted sums of all features.

    The sum of weights is kept, too.

    Parameters
    ----------
    weights : (n,) non-negative.
    features : (K, n) sparse.
    names : names of the features, for error messages.
    size : number of records, more than K so that it includes a vertex.
    rng : one uniform number is drawn from it.
    """
    live = np.flatnonzero(weights > 0)
    if len(live) <= size:
        return weights
    design = weights[live]
    matrix = sp.csr_array(sp.vstack([features[:, live], np.ones((1, len(live)))]))
    constraints = Constraints(matrix, matrix @ design, [*names, "sum of weights"])
    with one_blas_thread():
        return _sample(weights, live, constraints, size, rng)


def _sample(
    weights: np.ndarray,
    live: np.ndarray,
    constraints: Constraints,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    design, matrix = weights[live], constraints.matrix
    vertex = solve_vertex(constraints, design, max_iter=1000)
    fixed = int(np.count_nonzero(vertex))
    start = vertex * (fixed / size)
    if drawn := size - fixed:
        start += systematic_counts(design, drawn, rng) * (design.sum() / size)
    kept = np.flatnonzero(start)
    joined = Constraints(sp.csr_array(matrix[:, kept]), constraints.values, constraints.names)
    result = np.zeros_like(weights)
    result[live[kept]] = solve_dual(joined, start[kept], ChiSquare(), MAX_STEPS).weights
    return result
