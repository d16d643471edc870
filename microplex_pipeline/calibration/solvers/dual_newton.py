"""Calibration by Newton's method on the dual; a step costs a few sparse products.

Minimise sum_k d_k G(w_k / d_k) subject to A w = b (Deville and Sarndal 1992, Journal of the American
Statistical Association 87: 376-382). The solution is w = d F(A' lambda) with F the inverse of G', and
lambda minimises the convex dual  d' Phi(A' lambda) - b' lambda,  Phi' = F. This is an unconstrained
problem in m unknowns with Hessian A diag(d F') A'. Penalized targets add a ridge to it, and limits a kink at
zero (see `limits`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.certificates import Contradiction
from microplex_pipeline.calibration.solvers.damped_newton import Stopping, damped_newton
from microplex_pipeline.calibration.solvers.dual_problem import GOAL, Distance, DualProblem
from microplex_pipeline.calibration.solvers.limits import Limits
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision

ROUNDING_FLOOR = 1e-7  # largest relative error that is accepted if rounding allows no smaller one


@dataclass(frozen=True)
class Solution:
    """Weights, and the dual solution if the solver has one.

    Attributes
    ----------
    weights : (n,) non-negative.
    multipliers : (m,) dual values of the constraints as given, zero for a constraint that does not bind;
        None if the solver finds none.
    iterations : steps taken; zero if the solver does not count them.
    interior : whether an interior-point solver found them, after Newton's method had not.
    """

    weights: np.ndarray
    multipliers: np.ndarray | None = None
    iterations: int = 0
    interior: bool = False


def solve_dual(
    constraints: Constraints,
    design: np.ndarray,
    distance: Distance,
    max_iter: int,
    *,
    precision: Precision | None = None,
    start: np.ndarray | None = None,
) -> Solution:
    """Return the weights closest to `design` (n,) that meet the constraints.

    Redundant constraints are allowed. If a target of zero forces records to weight zero (non-negative
    coefficients that must add up to zero), these records are removed first: raking's F reaches zero only
    in the limit.

    Parameters
    ----------
    constraints : m rows over n records.
    design : (n,) positive design weights.
    distance : what is minimised.
    max_iter : largest number of Newton steps.
    precision : which targets are penalized or have limits, in units of their rows; None if all must be met
        exactly. The distance is minimised together with half the squared misses of penalized targets over
        their variances, each record counting as one observation. With raking this is penalized maximum
        entropy (Nagle, Buttenfield, Leyk and Spielman 2014, Annals of the Association of American
        Geographers 104: 80-95).
    start : (m,) multipliers to start from, e.g. those of a similar problem.

    Raises
    ------
    Contradiction
        If targets contradict each other within bounds of the weights; it is a NotConverged, too.
    NotConverged
        If no such weights were found within `max_iter` steps; the targets may be infeasible.
    """
    precision = precision or Precision.exact(len(constraints.values))
    ridge = precision.variances / design.mean()
    kept, ruled_out = _without_zero_targets(constraints, distance, precision)
    live = np.flatnonzero(~ruled_out)
    if not len(live):
        if constraints.values[kept].any():
            raise NotConverged("targets of zero leave no record for the other targets")
        return Solution(np.zeros(len(design)), np.zeros(len(constraints.values)), 0)
    A, d, scale = _reduced(constraints.matrix, design, kept, live)
    rows = precision.at(kept).scaled(scale)
    dual = DualProblem(
        A, constraints.values[kept] * scale, d, distance,
        unit=scale * constraints.sizes(design)[kept], ridge=ridge[kept] * scale**2,
        limits=Limits(rows.below, rows.above), provable=not ruled_out.any(),
    )  # fmt: skip
    lam = np.zeros(len(kept)) if start is None else start[kept] / scale
    stopping = Stopping(
        GOAL, ROUNDING_FLOOR, max_iter, lag=2, patience=4, least_length=1e-10,
        scale=max(1.0, float(d.sum())),
    )  # fmt: skip
    try:
        found = damped_newton(dual.at(lam, dual.At @ lam), dual.error, dual.step, stopping)
    except Contradiction as proof:
        multipliers = np.zeros(len(constraints.values))
        multipliers[kept] = proof.multipliers * scale
        raise Contradiction(multipliers) from None
    if not found.met:
        raise NotConverged(
            f"stopped after {found.iterations} steps with a target missed by {100 * found.error:.3g} %"
        )
    weights = np.zeros(len(design))
    multipliers = np.zeros(len(constraints.values))
    weights[live] = found.point.weights
    multipliers[kept] = found.point.lam * scale
    return Solution(weights, multipliers, found.iterations)


def _without_zero_targets(
    constraints: Constraints, distance: Distance, precision: Precision
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of the rows to keep, and (n,) whether a zero target forces a record to zero."""
    A = constraints.matrix
    reaches_zero = float(distance.ratio(np.array([-1e300]))[0]) <= 0
    zero = (constraints.values == 0) & ~(precision.penalized | precision.within) & reaches_zero
    for i in np.flatnonzero(zero):
        row = A.data[A.indptr[i] : A.indptr[i + 1]]
        zero[i] = (row >= 0).all() or (row <= 0).all()
    ruled_out = np.zeros(A.shape[1], bool)
    ruled_out[A[np.flatnonzero(zero)].indices] = True
    return np.flatnonzero(~zero), ruled_out


def _reduced(
    A: sp.csr_array, design: np.ndarray, kept: np.ndarray, live: np.ndarray
) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
    """Return the kept rows of the live records, scaled; their design weights; the rows' scale."""
    d = design
    if len(kept) < A.shape[0] or len(live) < A.shape[1]:
        A, d = A[kept][:, live], design[live]
    scaled, scale = _scaled(A, d)
    return scaled, d, scale


def _scaled(matrix: sp.csr_array, design: np.ndarray) -> tuple[sp.csr_array, np.ndarray]:
    """Scale rows to a Hessian diagonal of one: targets may be dollars or counts, large or small."""
    squares = sp.csr_array((matrix.data**2, matrix.indices, matrix.indptr), matrix.shape) @ design
    scale = 1 / np.sqrt(np.where(squares > 0, squares, 1.0))
    # a copy with sorted rows: sparse products sort in place, which would corrupt shared arrays
    A = matrix.copy()
    A.sort_indices()
    A.data *= np.repeat(scale, np.diff(A.indptr))
    return A, scale
