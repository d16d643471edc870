"""P-MEDM: maximum entropy weights by area, with published estimates met within their errors.

Nagle, Buttenfield, Leyk and Spielman 2014, Annals of the Association of American Geographers 104:
80-95. A share p_ig of the population is sought for every record i and smallest area g, closest to a
prior q in Kullback-Leibler distance, with squared misses over the estimates' variances as penalty:

    min  n KL(p, q) + sum over areas j and estimates k of (N m_jk - b_jk)^2 / (2 s_jk^2)

for n records of a population N, with m_jk the sum of p_ig x_ik over records i and smallest areas g in j.
Its dual has one unknown per estimate. With the areas nested, the dual's Hessian is eliminated from the
smallest areas up: K x K systems, one per area (block elimination of a matrix that is an arrow at every
level).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.blas_threads import one_blas_thread

GOAL = 1e-11  # of the gradient's norm, in shares of the population
ACCEPTED = 1e-9  # where rounding stops the descent before the goal
MAX_STEPS = 100


@dataclass(frozen=True)
class PenalizedEntropy:
    """The solution.

    Attributes
    ----------
    weights : (n, G) of record i in smallest area g.
    gradient_norm : of the dual, per unit of population.
    iterations : Newton steps.
    """

    weights: np.ndarray
    gradient_norm: float
    iterations: int

    def areas(self) -> Iterator[np.ndarray]:
        """Yield the weights (n,) of one smallest area after the other."""
        yield from self.weights.T


def fit_penalized_entropy(
    features: sp.csr_array,
    weights: np.ndarray,
    shares: np.ndarray,
    parents: Sequence[np.ndarray],
    estimates: Sequence[np.ndarray],
    variances: Sequence[np.ndarray],
) -> PenalizedEntropy:
    """Return weights by smallest area.

    Memory grows with records x smallest areas, with areas x K^2, and with the pairs of features that
    records carry.

    Parameters
    ----------
    features : (n, K) sparse, what one unit of a record's weight adds to each estimate.
    weights : (n,) positive design weights; their sum is the population N.
    shares : (G,) positive prior shares of the smallest areas.
    parents : per level below the first, for each area the position of the one it lies in.
    estimates, variances : per level, coarsest first, (areas, K); variances are positive.

    Raises
    ------
    NotConverged
        If the dual's gradient does not vanish.
    """
    with one_blas_thread():
        return _Dual(features, weights, shares, parents, estimates, variances).minimise()


class _Dual:
    """The dual and its Newton steps; lists run over levels, coarsest first."""

    def __init__(
        self,
        features: sp.csr_array,
        weights: np.ndarray,
        shares: np.ndarray,
        parents: Sequence[np.ndarray],
        estimates: Sequence[np.ndarray],
        variances: Sequence[np.ndarray],
    ) -> None:
        self.population = float(weights.sum())
        self.X, self.Xt = features, sp.csr_array(features.T)
        self.pairs, self.places = _pair_products(features)
        self.parents = [np.zeros(len(estimates[0]), int), *parents]
        self.Y = [b / self.population for b in estimates]
        self.V = [v * (len(weights) / self.population**2) for v in variances]
        self.q = np.outer(weights / self.population, shares / shares.sum())

    def minimise(self) -> PenalizedEntropy:
        """Newton's method with Armijo's rule from zero."""
        goal = max(1.0, *(float(np.abs(y).sum(axis=0).max()) for y in self.Y))
        lam = [np.zeros_like(y) for y in self.Y]
        value, p = self._value(lam)
        previous = np.inf
        for iteration in range(MAX_STEPS):
            means = self._sums_up(p)
            gradient = [
                y - mean + v * x for y, mean, v, x in zip(self.Y, means, self.V, lam, strict=True)
            ]
            norm = float(np.sqrt(_dot(gradient, gradient)))
            stalled = norm > previous / 2
            if norm <= GOAL * goal or (stalled and norm <= ACCEPTED * goal):
                return PenalizedEntropy(p * self.population, norm, iteration)
            step = self._step(p, means, gradient)
            slope, length = _dot(gradient, step), 1.0
            while True:
                tried = [x + length * s for x, s in zip(lam, step, strict=True)]
                now, shares = self._value(tried)
                flat = abs(now - value) <= 1e-14 * max(1.0, abs(value))
                if now <= value + 1e-4 * length * slope or flat or length < 1e-8:
                    break
                length *= 0.5
            if length < 1e-8:
                break
            lam, value, p, previous = tried, now, shares, norm
        raise NotConverged(
            f"penalized entropy stopped after {iteration} steps with a gradient of {norm:.3g}: look for "
            "estimates of different levels that contradict each other with tiny standard errors"
        )

    def _value(self, lam: list[np.ndarray]) -> tuple[float, np.ndarray]:
        """Return the dual's value and the shares p (n, G) at multipliers per level."""
        total = lam[0]
        for parent, own in zip(self.parents[1:], lam[1:], strict=True):
            total = total[parent] + own
        eta = -(self.X @ total.T)
        top = float(eta.max())
        p = self.q * np.exp(eta - top)
        mass = float(p.sum())
        p /= mass
        penalty = sum(float((v * x**2).sum()) for v, x in zip(self.V, lam, strict=True))
        return _dot(self.Y, lam) + np.log(mass) + top + penalty / 2, p

    def _sums_up(self, p: np.ndarray) -> list[np.ndarray]:
        """Return X'p by area, per level."""
        means = [(self.Xt @ p).T]
        for parent, y in zip(self.parents[:0:-1], self.Y[-2::-1], strict=True):
            coarser = np.zeros_like(y)
            np.add.at(coarser, parent, means[0])
            means.insert(0, coarser)
        return means

    def _step(
        self, p: np.ndarray, means: list[np.ndarray], gradient: list[np.ndarray]
    ) -> list[np.ndarray]:
        """Solve the Newton system: nested blocks less the rank-one term of the normalisation."""
        sides = [np.stack(pair, axis=-1) for pair in zip(gradient, means, strict=True)]
        solved = self._solve_nested(p, sides)
        a, b = [s[..., 0] for s in solved], [s[..., 1] for s in solved]
        factor = _dot(means, a) / (1 - _dot(means, b))  # Sherman and Morrison
        return [-(x + factor * y) for x, y in zip(a, b, strict=True)]

    def _solve_nested(self, p: np.ndarray, sides: list[np.ndarray]) -> list[np.ndarray]:
        """Solve (sum of the areas' X'PX at every level + V) s = sides, each (areas, K, 2).

        A smallest area's own system is M + V. Eliminated, it leaves M - M (M + V)^-1 M to its parent,
        and takes M (M + V)^-1 r off the right side of every area above it.
        """
        K = self.X.shape[1]
        finest = self.pairs @ p
        factors: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[] for _ in sides]
        blocks, carry = None, np.zeros_like(sides[-1])
        for level in range(len(sides) - 1, -1, -1):
            count = len(sides[level - 1]) if level else 1
            above, carried = np.zeros((count, K, K)), np.zeros((count, K, 2))
            for j, parent in enumerate(self.parents[level]):
                if blocks is None:
                    M = np.zeros((K, K))
                    M[self.places] = finest[:, j]
                    M += np.tril(M, -1).T
                else:
                    M = blocks[j]
                system = M.copy()
                system[np.diag_indices(K)] += self.V[level][j]
                L = scipy.linalg.cholesky(system, lower=True, overwrite_a=True, check_finite=False)
                right = np.concatenate([M, sides[level][j] - carry[j]], axis=1)
                half = scipy.linalg.solve_triangular(L, right, lower=True, check_finite=False)
                A, r = half[:, :K], half[:, K:]
                factors[level].append((L, A, r))
                if level:
                    above[parent] += M - A.T @ A
                    carried[parent] += carry[j] + A.T @ r
            blocks, carry = above, carried
        solved: list[np.ndarray] = []
        total = np.zeros((1, K, 2))
        for level, parent in enumerate(self.parents):
            shifts = total[parent]
            own = np.stack(
                [
                    scipy.linalg.solve_triangular(
                        L, r - A @ shift, lower=True, trans="T", check_finite=False
                    )
                    for (L, A, r), shift in zip(factors[level], shifts, strict=True)
                ]
            )
            solved.append(own)
            total = shifts + own
        return solved


def _dot(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    return sum(float((x * y).sum()) for x, y in zip(a, b, strict=True))


def _pair_products(X: sp.csr_array) -> tuple[sp.csr_array, tuple[np.ndarray, np.ndarray]]:
    """Return the products x_ij x_ik that are not zero, (pairs, n) sparse, and each pair's j >= k.

    Times p they give X'PX of every smallest area at once. A household carries few of the many features,
    so this costs a fraction of dense products.
    """
    K = X.shape[1]
    rows, places, values = [], [], []
    for count in np.unique(np.diff(X.indptr)):
        records = np.flatnonzero(np.diff(X.indptr) == count)
        at = X.indptr[records][:, None] + np.arange(count)
        columns, entries = X.indices[at], X.data[at]
        j, k = np.tril_indices(count)
        high = np.maximum(columns[:, j], columns[:, k])
        low = np.minimum(columns[:, j], columns[:, k])
        places.append((high.astype(np.int64) * K + low).ravel())
        values.append((entries[:, j] * entries[:, k]).ravel())
        rows.append(np.repeat(records, len(j)))
    used, position = np.unique(np.concatenate(places), return_inverse=True)
    matrix = sp.csr_array(
        (np.concatenate(values), (position, np.concatenate(rows))), shape=(len(used), X.shape[0])
    )
    return matrix, (used // K, used % K)
