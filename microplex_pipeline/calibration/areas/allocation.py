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

Limits of targets add a kink (see `solvers.limits`). The dual is flat along multipliers that are equal in all
areas, so that a kink alone does not hold it: these multipliers are then kept near those of the last round
by a small quadratic term, until they no longer move (the proximal point method; Rockafellar 1976, SIAM
Journal on Control and Optimization 14: 877-898).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

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
from microplex_pipeline.calibration.solvers.limits import Limits

GOAL = 1e-11  # largest relative error at which the iteration stops
ACCEPTED = 1e-9  # largest relative error that is accepted if rounding allows no smaller one
ACCEPTED_SOFT = (
    1e-7  # the same beside penalties, whose multipliers can be huge; limits are narrower by 2e-7
)
MAX_STEPS = 200
MAX_MOVE = (
    1e3  # largest change of an exponent in one step, so that divergent problems do not overflow
)
CHUNK = 1 << 17  # records x areas held in memory at a time
NEVER = 1e6  # an exponent of minus this makes a weight zero
NEAR = 1e-4  # weight of the proximal term, as a share of an area's part of the population
ROUNDS = 50  # of the proximal point method
# factors of standard errors, if the last alone does not get there
STAGES = tuple(10.0 ** (k / 2) for k in range(8, -1, -1))


@dataclass(frozen=True)
class AllocationProblem:
    """Weights to distribute, and the areas' targets.

    Attributes
    ----------
    types : (T, K) distinct rows of features; records with equal features are one type.
    totals : (T,) sum of the weights of each type, positive.
    values : (A, K) targets of the areas.
    shares : (A,) positive prior shares of the areas.
    variances : (A, K) variances of the targets, zero if not penalized, multiplied by records over population
        (one observation per record); None if no target is.
    limits : how far totals may lie from their values, (A, K) each, or None.
    """

    types: np.ndarray
    totals: np.ndarray
    values: np.ndarray
    shares: np.ndarray
    variances: np.ndarray | None = None
    limits: Limits | None = None


@dataclass(frozen=True)
class Allocation:
    """The solution.

    Attributes
    ----------
    types, shares : as in the problem; shares add up to one.
    multipliers : (A, K).
    errors : (A, K) gradient of the dual over max(|value|, 1); for exact targets the relative errors, for
        others how far they are outside their limits.
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
        None if problem.limits is None else Limits(
            problem.limits.below / size, problem.limits.above / size
        ),
    )  # fmt: skip
    unit = np.maximum(np.abs(problem.values), 1.0) / size
    dual = _Dual(scaled, unit)
    with one_blas_thread():
        found = dual.minimise(_start(scaled))
        if not found.met and scaled.variances is not None:
            dual, found = _by_stages(scaled, scaled.variances, unit)
    allocation = Allocation(
        problem.types,
        scaled.shares,
        found.point.lam / size,
        dual.residual(found.point) / dual.unit,
        found.iterations,
        dual.products,
    )
    if not found.met:
        raise AllocationFailed(allocation)
    return allocation


def _by_stages(
    problem: AllocationProblem, variances: np.ndarray, unit: np.ndarray
) -> tuple[_Dual, Minimum[_Point]]:
    """Solve with larger variances first, and start from that solution with smaller ones.

    What cannot be met has a multiplier of miss over variance, which is far from zero if the variance is tiny.
    """
    start, before = _start(problem), STAGES[0]
    penalized = variances > 0
    for factor in STAGES:
        grown = np.where(penalized, start * ((before / factor) ** 2 - 1), 0.0)
        # what moves all areas of a column alike moves no weight: exact targets and limits that bind follow
        common = grown.sum(axis=0) / np.maximum(penalized.sum(axis=0), 1)
        start = start + np.where(penalized, grown, np.where(start != 0, common, 0.0))
        before = factor
        dual = _Dual(replace(problem, variances=variances * factor**2), unit)
        found = dual.minimise(start)
        start = found.point.lam
    return dual, found


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
    """Multipliers (A, K), the dual's value and gradient (A, K), and its areas' blocks (A, K, K).

    The gradient is the least subgradient if there are limits, and includes the proximal term.
    """

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
    near : (A, K) weight of the proximal term, zero where a column of targets has no limits, or a penalty.
    centre : (A, K) multipliers from which it measures.
    """

    def __init__(self, problem: AllocationProblem, unit: np.ndarray) -> None:
        self.problem, self.unit = problem, unit
        values = problem.values
        self.V = np.zeros_like(values) if problem.variances is None else problem.variances
        none = np.zeros_like(values)
        self.limits = problem.limits or Limits(none, none)
        weights = NEAR * problem.totals.sum() * problem.shares
        held = (self.V > 0).any(axis=0)  # by the penalty of some area
        self.near = weights[:, None] * (self.limits.has.any(axis=0) & ~held)
        self.centre = none
        self.products = 0

    def minimise(self, start: np.ndarray) -> Minimum[_Point]:
        """Return the minimum, from multipliers (A, K)."""
        self.centre = start
        accepted = ACCEPTED_SOFT if self.V.any() else ACCEPTED
        scale = max(1.0, float(self.problem.totals.sum()))
        stopping = Stopping(GOAL, accepted, MAX_STEPS, scale=scale)
        found = damped_newton(self.at(start), self.error, self.step, stopping)
        if not self.limits.any:
            return found
        iterations = found.iterations
        for _ in range(ROUNDS):
            if not found.met or np.abs(self.residual(found.point) / self.unit).max() <= accepted:
                break
            self.centre = found.point.lam
            found = damped_newton(self.at(self.centre), self.error, self.step, stopping)
            iterations += found.iterations
        error = float(np.abs(self.residual(found.point) / self.unit).max())
        return Minimum(found.point, error, iterations, error <= accepted)

    def at(self, lam: np.ndarray) -> _Point:
        point = _Point(lam, *_evaluate(self.problem, self.V, lam))
        if self.limits.any:
            apart = lam - self.centre
            point.value += float((self.near * apart**2).sum() / 2) + self.limits.cost(lam)
            point.gradient = self.limits.gradient(lam, point.gradient + self.near * apart)
        return point

    def residual(self, point: _Point) -> np.ndarray:
        """Return the least subgradient (A, K) without the proximal term."""
        if not self.limits.any:
            return point.gradient
        _, smooth, _ = _evaluate(self.problem, self.V, point.lam)
        return self.limits.gradient(point.lam, smooth)

    def error(self, point: _Point) -> float:
        return float(np.abs(point.gradient / self.unit).max())

    def step(self, point: _Point, error: float) -> Step[_Point]:
        free = self.limits.free(point.lam, point.gradient)
        step, used = conjugate_gradients(
            lambda direction: np.where(free, self._hessian_product(point.lam, direction), 0.0),
            _preconditioner(point.blocks, self.V + self.near, free),
            point.gradient,
            min(0.1, np.sqrt(error)),
        )
        self.products += used

        def moved(share: float) -> _Point:
            lam = point.lam + share * step
            return self.at(self.limits.cut(point.lam, point.gradient, lam))

        return Step(
            slope=float((point.gradient * step).sum()),
            length=min(1.0, MAX_MOVE / max(float(np.abs(step).sum(axis=1).max()), 1e-300)),
            move=moved,
        )

    def _hessian_product(self, lam: np.ndarray, direction: np.ndarray) -> np.ndarray:
        X, w = self.problem.types, self.problem.totals
        result = (self.V + self.near) * direction
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
    exact = np.ones(lam.shape, bool)
    if problem.variances is not None:
        exact &= problem.variances == 0
    if problem.limits is not None:
        exact &= ~problem.limits.has
    if exact.any():
        least = np.where(X > 0, X, np.inf).min(axis=0, initial=np.inf)
        counts = (X >= 0).all(axis=0) & np.isfinite(least)
        ruled_out = (problem.values == 0) & counts & exact
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


def _preconditioner(
    blocks: np.ndarray, V: np.ndarray, free: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that applies the pseudo-inverse of each area's block of free multipliers (A, K).

    Without variances the dual is flat along multipliers that are equal in all areas; with them V is its
    only curvature there. The sum of V over areas is then the coarse system of an additive two-level
    preconditioner.
    """
    K = V.shape[1]
    systems = blocks.copy()
    systems[:, np.arange(K), np.arange(K)] += V
    fixed = not free.all()
    if fixed:
        systems *= free[:, :, None] & free[:, None, :]
    diagonal = np.einsum("akk->ak", systems)
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    roots, vectors = np.linalg.eigh(systems * scale[:, :, None] * scale[:, None, :])
    inverse = np.where(roots > 1e-11, 1 / np.maximum(roots, 1e-11), 0.0)
    curvature = V.sum(axis=0)
    coarse = np.where(curvature > 0, 1 / np.where(curvature > 0, curvature, 1.0), 0.0)

    def apply(residual: np.ndarray) -> np.ndarray:
        turned = np.einsum("ajk,aj->ak", vectors, residual * scale) * inverse
        result = np.einsum("ajk,ak->aj", vectors, turned) * scale + coarse * residual.sum(axis=0)
        return np.where(free, result, 0.0) if fixed else result

    return apply
