"""Allocation: records' weights laid out over areas, every record's total kept, every area's targets met.

Of weights W (records x areas) with given row sums w, those closest in Kullback-Leibler distance to
w_i pi_a that meet  sum over i of W_ia x_ik = b_ak  are a multinomial logit,

    W_ia = w_i pi_a exp(x_i l_a) / sum over areas b of pi_b exp(x_i l_b),

whose multipliers l (areas x K) minimise the convex dual

    sum over i of w_i log (sum over a of pi_a exp(x_i l_a)) - sum over a, k of b_ak l_ak.

With variances V it gets the term l'Vl / 2: penalized maximum entropy (see `penalized_entropy`). Newton's
method with conjugate gradients, preconditioned by each area's K x K block, streams over the records; the
blocks are all of the Hessian but its coupling through the records' sums, so few iterations are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.blas_threads import one_blas_thread

GOAL = 1e-11  # of the largest relative error
ACCEPTED = 1e-9  # where rounding stops the descent before the goal
MAX_STEPS = 100
MAX_PRODUCTS = 200  # conjugate gradient iterations per Newton step
MAX_MOVE = 1e3  # largest change of an exponent in one step: divergent problems must not overflow
CHUNK = 1 << 17  # records x areas held at a time
NEVER = 1e6  # minus this as an exponent is a weight of zero


@dataclass(frozen=True)
class AllocationProblem:
    """What is to be allocated.

    Attributes
    ----------
    types : (T, K) distinct features; records that share all of them are one type.
    totals : (T,) sum of the weights of each type, positive.
    values : (A, K) targets of the areas.
    shares : (A,) positive prior shares of the areas.
    variances : (A, K) of the targets in the allocation's scale, positive, or None for exact targets.
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
    types, shares : as in the problem.
    multipliers : (A, K).
    errors : (A, K) gradient of the dual over max(|value|, 1): for exact targets their relative errors.
    iterations : Newton steps.
    products : products with the Hessian, over all steps.
    """

    types: np.ndarray
    shares: np.ndarray
    multipliers: np.ndarray
    errors: np.ndarray
    iterations: int
    products: int

    def areas(self) -> Iterator[np.ndarray]:
        """Yield, one area after the other, the share (T,) of each type's weight that falls to it."""
        log_mass = np.concatenate(
            [mass for _, _, mass in _probabilities(self.types, self.shares, self.multipliers)]
        )
        for share, own in zip(self.shares, self.multipliers, strict=True):
            yield share * np.exp(self.types @ own - log_mass)


def fit_allocation(problem: AllocationProblem) -> Allocation:
    """Allocate. Memory grows with types + areas x K^2, never with their product.

    Exact targets must add up to the records' totals. The dual is then flat along multipliers that are
    equal in all areas, which conjugate gradients never enter.

    Raises
    ------
    AllocationFailed
        If the targets were not met; its `allocation` says by how much.
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
    with one_blas_thread():
        solution, met = _newton(scaled, np.maximum(np.abs(problem.values), 1.0) / size)
    allocation = Allocation(
        problem.types,
        scaled.shares,
        solution.multipliers / size,
        solution.errors,
        solution.iterations,
        solution.products,
    )
    if not met:
        raise AllocationFailed(allocation)
    return allocation


class AllocationFailed(NotConverged):
    """The targets were not met.

    Attributes
    ----------
    allocation : the last one tried.
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
    """Yield, for one chunk of types after the other, P (types, areas) and log of its denominator."""
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


def _newton(problem: AllocationProblem, unit: np.ndarray) -> tuple[Allocation, bool]:
    """Newton's method with conjugate gradients; `unit` (A, K) turns residuals into relative errors."""
    X, w, b = problem.types, problem.totals, problem.values
    V = np.zeros_like(b) if problem.variances is None else problem.variances
    lam = _start(problem)
    value, gradient, blocks = _evaluate(problem, V, lam)
    products, met, previous = 0, False, np.inf
    for iteration in range(MAX_STEPS + 1):
        errors = gradient / unit
        worst = float(np.abs(errors).max())
        met = worst <= GOAL or (worst <= ACCEPTED and worst > previous / 2)
        if met or iteration == MAX_STEPS:
            break

        def product(direction: np.ndarray, at: np.ndarray = lam) -> np.ndarray:
            result = V * direction
            for part, P, _ in _probabilities(X, problem.shares, at):
                moved = X[part] @ direction.T
                moved -= np.einsum("ta,ta->t", P, moved)[:, None]
                moved *= P
                moved *= w[part, None]
                result += moved.T @ X[part]
            return result

        precondition = _preconditioner(blocks, V)
        step, used = _conjugate_gradients(
            product, precondition, gradient, min(0.1, np.sqrt(worst))
        )
        products += used
        slope = float((gradient * step).sum())
        length = min(1.0, MAX_MOVE / max(float(np.abs(step).sum(axis=1).max()), 1e-300))
        while True:
            now, trial, new_blocks = _evaluate(problem, V, lam + length * step)
            flat = abs(now - value) <= 1e-13 * max(1.0, abs(value), w.sum())
            if now <= value + 1e-4 * length * slope or flat or length < 1e-8:
                break
            length *= 0.5
        if length < 1e-8:
            break
        lam, value, gradient, blocks = lam + length * step, now, trial, new_blocks
        previous = worst
    return Allocation(X, problem.shares, lam, errors, iteration, products), met


def _start(problem: AllocationProblem) -> np.ndarray:
    """Return multipliers of zero, but where a target of zero rules its carriers out."""
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
    """Return the dual's value, its gradient (A, K) and its areas' blocks (A, K, K) without V."""
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
    """Return the areas' pseudo-inverse blocks, and with variances a correction along the flat direction.

    Without variances the dual is flat along multipliers equal in all areas; with them only V curves it
    there: sum over areas of V is the coarse system of an additive two-level preconditioner.
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


def _conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    gradient: np.ndarray,
    forcing: float,
) -> tuple[np.ndarray, int]:
    """Solve H step = -gradient until the residual's norm has fallen by `forcing`."""
    step, residual = np.zeros_like(gradient), -gradient
    z = precondition(residual)
    direction, energy = z, float((residual * z).sum())
    first = energy
    for used in range(1, MAX_PRODUCTS + 1):
        image = product(direction)
        curvature = float((direction * image).sum())
        if curvature <= 0:  # a flat direction, up to rounding
            return (step if used > 1 else z), used
        step += energy / curvature * direction
        residual -= energy / curvature * image
        z = precondition(residual)
        last, energy = energy, float((residual * z).sum())
        if energy <= forcing**2 * first:
            break
        direction = z + energy / last * direction
    return step, used
