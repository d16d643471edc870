"""Allocation: distributes records' weights across areas so that every area meets its targets.

Each record's weights over the areas add up to its own weight. Of all weights W (records x areas) with
row sums w that satisfy  sum over i of W_ia x_ik = b_ak,  those closest to w_i pi_a in Kullback-Leibler
divergence are a multinomial logit,

    W_ia = w_i pi_a exp(x_i l_a) / sum over areas b of pi_b exp(x_i l_b),

whose multipliers l (areas x K) minimise the convex dual

    sum over i of w_i log (sum over a of pi_a exp(x_i l_a)) - sum over a, k of b_ak l_ak.

With variances V the dual also has the term l'Vl / 2: penalized maximum entropy (see
`penalized_entropy`). It is minimised by Newton's method with conjugate gradients that stream over the
records. The preconditioner is each area's K x K block; the Hessian adds only the coupling through the
records' sums, so few iterations are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.blas_threads import one_blas_thread
from microplex_pipeline.calibration.solvers.conjugate_gradients import conjugate_gradients
from microplex_pipeline.calibration.solvers.damped_newton import (
    Minimum,
    Step,
    Stopping,
    damped_newton,
)

GOAL = 1e-11  # largest relative error at which the iteration stops
ACCEPTED = 1e-9  # largest relative error that is accepted if rounding allows no smaller one
MAX_STEPS = 100
MAX_MOVE = (
    1e3  # largest change of an exponent in one step, so that divergent problems do not overflow
)
CHUNK = 1 << 17  # records x areas held in memory at a time
NEVER = 1e6  # an exponent of minus this makes a weight zero


@dataclass(frozen=True)
class AllocationProblem:
    """Weights to distribute, and the areas' targets.

    Attributes
    ----------
    types : (T, K) distinct rows of features; records with equal features are one type.
    totals : (T,) sum of the weights of each type, positive.
    values : (A, K) targets of the areas.
    shares : (A,) positive prior shares of the areas.
    variances : (A, K) positive variances of the targets, multiplied by records over population (one
        observation per record), or None for exact targets.
    """

    types: np.ndarray
    totals: np.ndarray
    values: np.ndarray
    shares: np.ndarray
    variances: np.ndarray | None = None


@dataclass(frozen=True)
class Allocation:
    """The solution.

    Attributes
    ----------
    types, shares : as in the problem; shares add up to one.
    multipliers : (A, K).
    errors : (A, K) gradient of the dual over max(|value|, 1); for exact targets the relative errors.
    iterations : Newton steps.
    products : products with the Hessian in all steps.
    """

    types: np.ndarray
    shares: np.ndarray
    multipliers: np.ndarray
    errors: np.ndarray
    iterations: int
    products: int

    def areas(self) -> Iterator[np.ndarray]:
        """Yield for each area the share (T,) of each type's weight that it receives."""
        log_mass = np.concatenate(
            [mass for _, _, mass in _probabilities(self.types, self.shares, self.multipliers)]
        )
        for share, own in zip(self.shares, self.multipliers, strict=True):
            yield share * np.exp(self.types @ own - log_mass)


def fit_allocation(problem: AllocationProblem) -> Allocation:
    """Distribute the weights. Memory grows with types + areas x K^2, not with types x areas.

    Exact targets must add up to the records' totals. The dual is then flat along multipliers that are
    equal in all areas; conjugate gradients never move in these directions.

    Raises
    ------
    AllocationFailed
        If the targets were not met; its `allocation` has the errors.
    """
    size = np.abs(problem.types).max(axis=0)
    size[size == 0] = 1.0
    scaled = AllocationProblem(
        problem.types / size,
        problem.totals,
        problem.values / size,
        problem.shares / problem.shares.sum(),
        None if problem.variances is None else problem.variances / size**2,
    )
    dual = _Dual(scaled, np.maximum(np.abs(problem.values), 1.0) / size)
    with one_blas_thread():
        found = dual.minimise()
    allocation = Allocation(
        problem.types,
        scaled.shares,
        found.point.lam / size,
        found.point.gradient / dual.unit,
        found.iterations,
        dual.products,
    )
    if not found.met:
        raise AllocationFailed(allocation)
    return allocation


class AllocationFailed(NotConverged):
    """The targets were not met.

    Attributes
    ----------
    allocation : the last iterate.
    """

    def __init__(self, allocation: Allocation) -> None:
        worst = float(np.abs(allocation.errors).max())
        super().__init__(
            f"allocation stopped after {allocation.iterations} steps with an error of {worst:.3g}"
        )
        self.allocation = allocation


def _probabilities(
    types: np.ndarray, shares: np.ndarray, multipliers: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield for each chunk of types its slice, probabilities P (types, areas) and log denominators."""
    rows = max(1, CHUNK // len(shares))
    log_shares = np.log(shares)
    for start in range(0, len(types), rows):
        part = slice(start, start + rows)
        P = types[part] @ multipliers.T
        P += log_shares
        top = P.max(axis=1, keepdims=True)
        P -= top
        np.exp(P, out=P)
        mass = P.sum(axis=1, keepdims=True)
        P /= mass
        yield part, P, (np.log(mass) + top)[:, 0]


@dataclass
class _Point:
    """Multipliers (A, K), the dual's value and gradient (A, K), and its areas' blocks (A, K, K)."""

    lam: np.ndarray
    value: float
    gradient: np.ndarray
    blocks: np.ndarray


class _Dual:
    """The dual of an allocation, as `damped_newton` minimises it.

    Parameters
    ----------
    problem : in the scale of the computation.
    unit : (A, K) turns residuals into relative errors.

    Attributes
    ----------
    products : products with the Hessian so far.
    """

    def __init__(self, problem: AllocationProblem, unit: np.ndarray) -> None:
        self.problem, self.unit = problem, unit
        values = problem.values
        self.V = np.zeros_like(values) if problem.variances is None else problem.variances
        self.products = 0

    def minimise(self) -> Minimum[_Point]:
        stopping = Stopping(
            GOAL, ACCEPTED, MAX_STEPS, scale=max(1.0, float(self.problem.totals.sum()))
        )
        return damped_newton(self.at(_start(self.problem)), self.error, self.step, stopping)

    def at(self, lam: np.ndarray) -> _Point:
        return _Point(lam, *_evaluate(self.problem, self.V, lam))

    def error(self, point: _Point) -> float:
        return float(np.abs(point.gradient / self.unit).max())

    def step(self, point: _Point, error: float) -> Step[_Point]:
        step, used = conjugate_gradients(
            lambda direction: self._hessian_product(point.lam, direction),
            _preconditioner(point.blocks, self.V),
            point.gradient,
            min(0.1, np.sqrt(error)),
        )
        self.products += used
        return Step(
            slope=float((point.gradient * step).sum()),
            length=min(1.0, MAX_MOVE / max(float(np.abs(step).sum(axis=1).max()), 1e-300)),
            move=lambda share: self.at(point.lam + share * step),
        )

    def _hessian_product(self, lam: np.ndarray, direction: np.ndarray) -> np.ndarray:
        X, w = self.problem.types, self.problem.totals
        result = self.V * direction
        for part, P, _ in _probabilities(X, self.problem.shares, lam):
            moved = X[part] @ direction.T
            moved -= np.einsum("ta,ta->t", P, moved)[:, None]
            moved *= P
            moved *= w[part, None]
            result += moved.T @ X[part]
        return result


def _start(problem: AllocationProblem) -> np.ndarray:
    """Return multipliers of zero, or -NEVER for a count of zero, which excludes its records."""
    X = problem.types
    lam = np.zeros_like(problem.values)
    if problem.variances is None:
        least = np.where(X > 0, X, np.inf).min(axis=0, initial=np.inf)
        counts = (X >= 0).all(axis=0) & np.isfinite(least)
        ruled_out = (problem.values == 0) & counts
        lam[ruled_out] = np.broadcast_to(-NEVER / least, lam.shape)[ruled_out]
    return lam


def _evaluate(
    problem: AllocationProblem, V: np.ndarray, lam: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the dual's value, its gradient (A, K) and the areas' Hessian blocks (A, K, K) without V."""
    X, w, b = problem.types, problem.totals, problem.values
    K = X.shape[1]
    j, k = np.tril_indices(K)
    value = float((V * lam**2).sum() / 2 - (b * lam).sum())
    gradient = V * lam - b
    pairs = np.zeros((len(b), len(j)))
    for part, P, log_mass in _probabilities(X, problem.shares, lam):
        value += float(w[part] @ log_mass)
        P *= w[part, None]
        gradient += P.T @ X[part]
        pairs += P.T @ (X[part][:, j] * X[part][:, k])
    blocks = np.empty((len(b), K, K))
    blocks[:, j, k] = pairs
    blocks[:, k, j] = pairs
    return value, gradient, blocks


def _preconditioner(blocks: np.ndarray, V: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that applies the pseudo-inverse of each area's block.

    Without variances the dual is flat along multipliers that are equal in all areas; with them V is its
    only curvature there. The sum of V over areas is then the coarse system of an additive two-level
    preconditioner.
    """
    K = V.shape[1]
    systems = blocks.copy()
    systems[:, np.arange(K), np.arange(K)] += V
    diagonal = np.einsum("akk->ak", systems)
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    roots, vectors = np.linalg.eigh(systems * scale[:, :, None] * scale[:, None, :])
    inverse = np.where(roots > 1e-11, 1 / np.maximum(roots, 1e-11), 0.0)
    curvature = V.sum(axis=0)
    coarse = np.where(curvature > 0, 1 / np.where(curvature > 0, curvature, 1.0), 0.0)

    def apply(residual: np.ndarray) -> np.ndarray:
        turned = np.einsum("ajk,aj->ak", vectors, residual * scale) * inverse
        return np.einsum("ajk,ak->aj", vectors, turned) * scale + coarse * residual.sum(axis=0)

    return apply
