"""The dual of a calibration: its value, its gradient, and Newton's steps, exact or by conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.certificates import (
    Contradiction,
    asked_beyond_possible,
)
from microplex_pipeline.calibration.solvers.conjugate_gradients import conjugate_gradients
from microplex_pipeline.calibration.solvers.damped_newton import Step
from microplex_pipeline.calibration.solvers.limits import Limits

GOAL = (
    1e-12  # largest relative error at which the iteration stops, unless rounding stops it earlier
)
DENSE_UP_TO = (
    600  # constraints; beyond that the Hessian is factored as a sparse matrix if it is sparse
)
# constraints, and multiplications that the Hessian takes, beyond either of which steps are found by conjugate
# gradients, which need no Hessian
DIRECT_UP_TO, DIRECT_COST = 8_000, 2e8
MOST_PRODUCTS = 500  # in one step
# multiplications per entry of the matrix that conjugate gradients take in a step, about; a factor that takes
# more is not computed again
PRODUCTS_COST = 2_000


class Distance(Protocol):
    """A distance of weights from design weights, through functions of u = A' lambda."""

    @property
    def max_step(self) -> float:
        """Largest change of u in one step."""

    @property
    def grows(self) -> bool:
        """Whether steps may get longer as long as they succeed."""

    def ratio(self, u: np.ndarray) -> np.ndarray:
        """F(u), the ratio of weight to design weight."""

    def slope(self, u: np.ndarray) -> np.ndarray:
        """F'(u), or an element of its generalized derivative."""

    def integral(self, u: np.ndarray) -> np.ndarray:
        """Phi(u), an antiderivative of F."""


@dataclass
class DualPoint:
    """Multipliers lam (m,), u = A' lam (n,) and the dual's value; the rest once `error` saw the point."""

    lam: np.ndarray
    u: np.ndarray
    value: float
    weights: np.ndarray | None = None
    gradient: np.ndarray | None = None


@dataclass
class DualProblem:
    """The dual of the scaled problem, as `damped_newton` minimises it.

    Attributes
    ----------
    A, b, d : (m, n) rows, (m,) values and (n,) design weights.
    unit : (m,) turns residuals into relative errors.
    ridge : (m,) variances of the targets in the scale of the dual.
    limits : how far totals may lie from their values, in the scale of the dual.
    damping : multiple of the identity, relative to the Hessian's diagonal, that is added to it.
    reach : largest change of u in the next step.
    provable : whether a contradiction within bounds is looked for.
    large : whether steps are found by conjugate gradients.
    """

    A: sp.csr_array
    b: np.ndarray
    d: np.ndarray
    distance: Distance
    unit: np.ndarray
    ridge: np.ndarray
    limits: Limits
    provable: bool = False
    damping: float = 1e-12

    def __post_init__(self) -> None:
        self.At = sp.csr_array(self.A.T)
        self.reach = self.distance.max_step
        per_record = np.diff(self.At.indptr).astype(float)
        self.bounds = getattr(self.distance, "low", 0.0), getattr(self.distance, "high", np.inf)
        self.provable &= bool(np.isfinite(self.bounds[1]))
        self.large = len(self.b) > DIRECT_UP_TO or per_record @ per_record > DIRECT_COST

    def at(self, lam: np.ndarray, u: np.ndarray) -> DualPoint:
        """Evaluate the dual at multipliers (m,), given u = A' lam (n,)."""
        value = float(
            self.d @ self.distance.integral(u) - self.b @ lam + 0.5 * (self.ridge @ lam**2)
        )
        if self.limits.any:
            value += self.limits.cost(lam)
        return DualPoint(lam, u, value)

    def error(self, point: DualPoint) -> float:
        """Return the largest relative error at a point; set its weights and gradient."""
        point.weights = self.d * self.distance.ratio(point.u)
        point.gradient = self.A @ point.weights - self.b + self.ridge * point.lam
        if self.limits.any:
            point.gradient = self.limits.gradient(point.lam, point.gradient)
        if self.provable:
            self._refuse(point)
        return float(np.max(np.abs(point.gradient) / self.unit, initial=0.0))

    def _refuse(self, point: DualPoint) -> None:
        """Raise Contradiction if the multipliers prove that the targets contradict each other."""
        firm = self.ridge == 0
        u, lam = point.u, point.lam
        if not firm.all():
            lam = np.where(firm, lam, 0.0)
            u = self.At @ lam
        least, most = self.b - self.limits.below, self.b + self.limits.above
        if asked_beyond_possible(u, lam, least, most, self.d, *self.bounds) > 0:
            raise Contradiction(lam)

    def step(self, point: DualPoint, error: float) -> Step[DualPoint]:
        """Return a Newton step, exact or, for large systems, about exact."""
        gradient = point.gradient
        assert gradient is not None
        curvature = self.d * self.distance.slope(point.u)
        free = np.ones(len(gradient), bool)
        if self.limits.any:
            free = self.limits.free(point.lam, gradient)
        step = np.zeros(len(gradient))
        if self.large:
            step[free] = self._inexact_step(curvature, gradient, free, error)
        else:
            step[free] = self._exact_step(curvature, gradient, free)
        move = self.At @ step
        length = min(1.0, self.reach / max(float(np.max(np.abs(move))), 1e-300))

        def accepted() -> None:
            if length < 1.0 and self.distance.grows:
                self.reach *= 2  # far from the design weights longer steps are safe, too
            self.damping = max(self.damping / 10, 1e-13)

        def moved(share: float) -> DualPoint:
            lam = point.lam + share * step
            if self.limits.any:
                lam = self.limits.cut(point.lam, gradient, lam)
                return self.at(lam, self.At @ lam)
            return self.at(lam, point.u + share * move)

        return Step(
            slope=float(gradient @ step),
            length=length,
            move=moved,
            accepted=accepted,
            rejected=self._damp_more,
        )

    def _exact_step(
        self, curvature: np.ndarray, gradient: np.ndarray, free: np.ndarray
    ) -> np.ndarray:
        """Return the Newton step of the free multipliers, given the records' curvatures (n,)."""
        A = self.A
        hessian = sp.csr_array(
            (A.data * curvature[A.indices], A.indices, A.indptr), A.shape
        ) @ self.At  # fmt: skip
        if self.ridge.any():
            hessian = sp.csr_array(hessian + sp.diags_array(self.ridge))
        if not free.all():
            kept = np.flatnonzero(free)
            hessian, gradient = sp.csr_array(hessian[kept][:, kept]), gradient[kept]
        step, self.damping, fill = _newton_step(hessian, gradient, self.damping)
        self.large = fill**2 / len(step) > PRODUCTS_COST * A.nnz
        return step

    def _inexact_step(
        self, curvature: np.ndarray, gradient: np.ndarray, free: np.ndarray, error: float
    ) -> np.ndarray:
        """Return about the Newton step of the free multipliers, preconditioned by the diagonal."""
        A, At, ridge = self.A, self.At, self.ridge
        if not free.all():
            kept = np.flatnonzero(free)
            A, At = sp.csr_array(A[kept]), sp.csr_array(At[:, kept])
            gradient, ridge = gradient[kept], ridge[kept]
        squares = sp.csr_array((A.data**2, A.indices, A.indptr), A.shape)
        diagonal = squares @ curvature + ridge
        size = max(1.0, float(diagonal.max()))
        diagonal = diagonal + self.damping * size
        step, _ = conjugate_gradients(
            lambda v: A @ (curvature * (At @ v)) + (ridge + self.damping * size) * v,
            lambda residual: residual / diagonal,
            gradient,
            max(min(0.01, np.sqrt(error)), 0.1 * GOAL / error),
            MOST_PRODUCTS,
        )
        return step

    def _damp_more(self) -> bool:
        if self.damping > 1e-2:
            return False
        self.damping = max(self.damping, 1e-12) * 1e3
        return True


def _newton_step(
    hessian: sp.csr_array, gradient: np.ndarray, damping: float
) -> tuple[np.ndarray, float, int]:
    """Solve (H + damping I) step = -gradient, damping more until the step descends.

    Returns
    -------
    The step, the damping, and the number of entries of the factor if it is sparse, or else zero.
    """
    m = len(gradient)
    size = max(1.0, float(hessian.diagonal().max()))
    dense = m <= DENSE_UP_TO or hessian.nnz > 0.2 * m * m
    fill = 0
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
                fill = int(lu.L.nnz)
                step = lu.solve(-gradient)
                step = step + lu.solve(-gradient - (hessian @ step + shift * step))
        except (np.linalg.LinAlgError, RuntimeError):
            # a singular factor: collinear constraints, or too few active records
            damping = max(damping, 1e-14) * 100
            continue
        if np.isfinite(step).all() and gradient @ step < 0:
            return step, damping, fill
        damping = max(damping, 1e-14) * 100
    raise NotConverged("the Newton system stayed singular under damping")
