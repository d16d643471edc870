"""Calibration by Newton's method on the dual, one step costing a few sparse products.

Minimise sum_k d_k G(w_k / d_k) subject to A w = b (Deville and Sarndal 1992, Journal of the American
Statistical Association 87: 376-382). The solution is w = d F(A' lambda) with F the inverse of G', and
lambda minimises the convex dual  d' Phi(A' lambda) - b' lambda,  Phi' = F: an unconstrained problem
in m unknowns whose Hessian is A diag(d F') A'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.targets.constraints import Constraints

GOAL = 1e-12  # of the largest relative error; what stops the iteration unless rounding does before
ROUNDING_FLOOR = 1e-7
DENSE_UP_TO = 600


class Distance(Protocol):
    """How far weights may be from design weights, through u = A' lambda."""

    @property
    def max_step(self) -> float:
        """Largest change of u in one step."""

    @property
    def grows(self) -> bool:
        """Whether longer steps may follow a full one: where F is linear."""

    def ratio(self, u: np.ndarray) -> np.ndarray:
        """F(u), the ratio of weight to design weight."""

    def slope(self, u: np.ndarray) -> np.ndarray:
        """F'(u), or an element of its generalized derivative."""

    def integral(self, u: np.ndarray) -> np.ndarray:
        """Phi(u), an antiderivative of F."""


@dataclass(frozen=True)
class Solution:
    """Weights and what the solver knows of them.

    Attributes
    ----------
    weights : (n,) non-negative.
    multipliers : (m,) dual values of the constraints as given, zero where there are none; None where
        the solver has none.
    iterations : steps taken.
    """

    weights: np.ndarray
    multipliers: np.ndarray | None
    iterations: int


def solve_dual(
    constraints: Constraints,
    design: np.ndarray,
    distance: Distance,
    max_iter: int,
    *,
    variances: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> Solution:
    """Return the weights closest to `design` (n,) that meet the constraints.

    Redundant constraints are allowed. A record whose weight a zero target rules out (non-negative
    coefficients that must add up to zero) is taken out first where F can reach zero only in the
    limit.

    Parameters
    ----------
    variances : (m,) of the targets, zero where a target must be met exactly. The distance is then
        minimised together with half the squared misses over their variances, a record counting as one
        observation: penalized maximum entropy where the distance is raking (Nagle, Buttenfield, Leyk and
        Spielman 2014, Annals of the Association of American Geographers 104: 80-95). In the dual that
        adds a ridge.
    start : (m,) multipliers to start from, those of a similar problem.

    Raises
    ------
    NotConverged
        If no such weights were found within `max_iter` steps; the targets may be infeasible.
    """
    ridge = np.zeros(len(constraints.values)) if variances is None else variances / design.mean()
    kept, ruled_out = _without_zero_targets(constraints, distance, ridge)
    live = np.flatnonzero(~ruled_out)
    if not len(live):
        if constraints.values[kept].any():
            raise NotConverged("targets of zero rule out every record")
        return Solution(np.zeros(len(design)), np.zeros(len(constraints.values)), 0)
    A, d = constraints.matrix, design
    if len(kept) < A.shape[0] or len(live) < A.shape[1]:
        A, d = A[kept][:, live], design[live]
    A, scale = _scaled(A, d)
    unit = scale * constraints.sizes(design)[kept]  # turns residuals into relative errors
    weights = np.zeros(len(design))
    multipliers = np.zeros(len(constraints.values))
    w, lam, iterations = _newton(
        A, constraints.values[kept] * scale, d, distance, unit, ridge[kept] * scale**2, max_iter,
        np.zeros(len(kept)) if start is None else start[kept] / scale,
    )  # fmt: skip
    weights[live] = w
    multipliers[kept] = lam * scale
    return Solution(weights, multipliers, iterations)


def _without_zero_targets(
    constraints: Constraints, distance: Distance, ridge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to keep, and which records a zero target forces to weight zero."""
    A = constraints.matrix
    reaches_zero = float(distance.ratio(np.array([-1e300]))[0]) <= 0
    zero = (constraints.values == 0) & (ridge == 0) & reaches_zero
    for i in np.flatnonzero(zero):
        row = A.data[A.indptr[i] : A.indptr[i + 1]]
        zero[i] = (row >= 0).all() or (row <= 0).all()
    ruled_out = np.zeros(A.shape[1], bool)
    ruled_out[A[np.flatnonzero(zero)].indices] = True
    return np.flatnonzero(~zero), ruled_out


def _scaled(matrix: sp.csr_array, design: np.ndarray) -> tuple[sp.csr_array, np.ndarray]:
    """Scale rows so that the Hessian's diagonal is one: dollars beside counts, small beside large."""
    squares = sp.csr_array((matrix.data**2, matrix.indices, matrix.indptr), matrix.shape) @ design
    scale = 1 / np.sqrt(np.where(squares > 0, squares, 1.0))
    # a copy with sorted rows: products sort in place, which would mix up arrays that are shared
    A = matrix.copy()
    A.sort_indices()
    A.data *= np.repeat(scale, np.diff(A.indptr))
    return A, scale


def _newton(
    A: sp.csr_array, b: np.ndarray, d: np.ndarray, distance: Distance, unit: np.ndarray,
    ridge: np.ndarray, max_iter: int, lam: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, int]:  # fmt: skip
    At = sp.csr_array(A.T)
    u = At @ lam

    def objective(u: np.ndarray, lam: np.ndarray) -> float:
        return float(d @ distance.integral(u) - b @ lam + 0.5 * (ridge @ lam**2))

    w, value = d * distance.ratio(u), objective(u, lam)
    damping, errors, reach = 1e-12, [], distance.max_step
    for iteration in range(max_iter):
        gradient = A @ w - b + ridge * lam
        errors.append(float(np.max(np.abs(gradient) / unit, initial=0.0)))
        stalled = len(errors) > 4 and errors[-1] > 0.5 * errors[-3]
        if errors[-1] < GOAL or (stalled and errors[-1] < ROUNDING_FLOOR):
            return w, lam, iteration
        curvature = d * distance.slope(u)
        hessian = sp.csr_array((A.data * curvature[A.indices], A.indices, A.indptr), A.shape) @ At
        if ridge.any():
            hessian = sp.csr_array(hessian + sp.diags_array(ridge))
        step, damping = _newton_step(hessian, gradient, damping)
        move = At @ step
        length = min(1.0, reach / max(float(np.max(np.abs(move))), 1e-300))
        capped = length < 1.0
        descent = float(gradient @ step)
        while True:
            tried = u + length * move
            now = objective(tried, lam + length * step)
            flat = abs(now - value) < 1e-13 * max(1.0, abs(value), d.sum())
            if now <= value + 1e-4 * length * descent or flat or length < 1e-10:
                break
            length *= 0.5
        if length < 1e-10:  # the step was no use: damp more and try again from here
            if damping > 1e-2:
                break
            damping = max(damping, 1e-12) * 1e3
            continue
        lam, u, value = lam + length * step, tried, now
        if capped and distance.grows:  # far from the design weights: longer steps hold too
            reach *= 2
        w = d * distance.ratio(u)
        damping = max(damping / 10, 1e-13)
    raise NotConverged(
        f"stopped after {len(errors)} steps with a target missed by {100 * errors[-1]:.3g} %"
    )


def _newton_step(
    hessian: sp.csr_array, gradient: np.ndarray, damping: float
) -> tuple[np.ndarray, float]:
    """Solve (H + damping I) step = -gradient, damping more until the step descends."""
    m = len(gradient)
    size = max(1.0, float(hessian.diagonal().max()))
    dense = m <= DENSE_UP_TO or hessian.nnz > 0.2 * m * m
    for _ in range(12):
        shift = damping * size
        try:
            if dense:
                full = hessian.toarray()
                full[np.diag_indices(m)] += shift
                factor = scipy.linalg.cho_factor(full, lower=True, check_finite=False)
                step = scipy.linalg.cho_solve(factor, -gradient, check_finite=False)
                residual = -gradient - (hessian @ step + shift * step)
                step = step + scipy.linalg.cho_solve(factor, residual, check_finite=False)
            else:
                lu = scipy.sparse.linalg.splu(
                    sp.csc_array(hessian + shift * sp.eye_array(m)),
                    permc_spec="MMD_AT_PLUS_A",
                    diag_pivot_thresh=0.0,
                    options={"SymmetricMode": True},
                )
                step = lu.solve(-gradient)
                step = step + lu.solve(-gradient - (hessian @ step + shift * step))
        except (np.linalg.LinAlgError, RuntimeError):
            # a singular factor: collinear constraints, or too few active records
            damping = max(damping, 1e-14) * 100
            continue
        if np.isfinite(step).all() and gradient @ step < 0:
            return step, damping
        damping = max(damping, 1e-14) * 100
    raise NotConverged("the constraints' system stayed singular under damping")
