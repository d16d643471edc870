"""P-MEDM: maximum entropy weights by area that meet published estimates within their errors.

Nagle, Buttenfield, Leyk and Spielman 2014, Annals of the Association of American Geographers 104:
80-95. Each record i gets a share p_ig of the population in each smallest area g. The shares minimise the
Kullback-Leibler divergence from a prior q, plus the squared misses over the estimates' variances:

    min  n KL(p, q) + sum over areas j and estimates k of (N m_jk - b_jk)^2 / (2 s_jk^2)

for n records of a population N, with m_jk the sum of p_ig x_ik over records i and smallest areas g in j.
The dual has one unknown per estimate. Because areas are nested, its Hessian can be eliminated from the
smallest areas up, with one K x K system per area (block elimination of a matrix that has the shape of an
arrow at every level).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.blas_threads import one_blas_thread
from microplex_pipeline.calibration.solvers.damped_newton import Step, Stopping, damped_newton

GOAL = 1e-11  # norm of the gradient, in shares of the population, at which the iteration stops
ACCEPTED = 1e-9  # norm that is accepted if rounding allows no smaller one
MAX_STEPS = 100


@dataclass(frozen=True)
class PenalizedEntropy:
    """The solution.

    Attributes
    ----------
    weights : (n, G) weight of record i in smallest area g.
    multipliers : per level (areas, K), dual values of the estimates: how strongly each pulls weights up.
    gradient_norm : norm of the dual's gradient, per unit of population.
    iterations : Newton steps.
    """

    weights: np.ndarray
    multipliers: list[np.ndarray]
    gradient_norm: float
    iterations: int

    def areas(self) -> Iterator[np.ndarray]:
        """Yield the weights (n,) of each smallest area."""
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

    Memory grows with records x smallest areas, with areas x K^2, and with the number of pairs of
    features per record.

    Parameters
    ----------
    features : (n, K) sparse, the contribution of one unit of a record's weight to each estimate.
    weights : (n,) positive design weights; their sum is the population N.
    shares : (G,) positive prior shares of the smallest areas.
    parents : for each level below the first, the position of each area's parent in the level above.
    estimates, variances : for each level, coarsest first, (areas, K); variances are positive.

    Raises
    ------
    NotConverged
        If the dual's gradient does not vanish.
    """
    population = float(weights.sum())
    dual = _Dual(
        population,
        features,
        [np.zeros(len(estimates[0]), int), *parents],
        [b / population for b in estimates],
        [v * (len(weights) / population**2) for v in variances],
        np.outer(weights / population, shares / shares.sum()),
    )
    with one_blas_thread():
        return dual.minimise()


@dataclass
class _Point:
    """Multipliers lam per level, the dual's value, shares p (n, G); the rest set by `_Dual._error`."""

    lam: list[np.ndarray]
    value: float
    p: np.ndarray
    means: list[np.ndarray] = field(default_factory=list)
    gradient: list[np.ndarray] = field(default_factory=list)


@dataclass
class _Dual:
    """The dual, as `damped_newton` minimises it; lists are per level, coarsest first.

    Attributes
    ----------
    population : N.
    X : (n, K) features.
    parents : position of the area above each area, zeros at the first level.
    Y : estimates as shares of the population.
    V : their variances in the scale of the dual.
    q : (n, G) prior.
    """

    population: float
    X: sp.csr_array
    parents: list[np.ndarray]
    Y: list[np.ndarray]
    V: list[np.ndarray]
    q: np.ndarray

    def __post_init__(self) -> None:
        self.Xt = sp.csr_array(self.X.T)
        self.pairs, self.places = _pair_products(self.X)

    def minimise(self) -> PenalizedEntropy:
        """Return the solution, by Newton's method from zero."""
        size = max(1.0, *(float(np.abs(y).sum(axis=0).max()) for y in self.Y))
        stopping = Stopping(GOAL * size, ACCEPTED * size, MAX_STEPS, flat=1e-14)
        start = self._at([np.zeros_like(y) for y in self.Y])
        found = damped_newton(start, self._error, self._newton_step, stopping)
        if not found.met:
            raise NotConverged(
                f"penalized entropy stopped after {found.iterations} steps with a gradient of "
                f"{found.error:.3g}: check for estimates of different levels that contradict each other "
                "and have tiny standard errors"
            )
        multipliers = [-x for x in found.point.lam]
        return PenalizedEntropy(
            found.point.p * self.population, multipliers, found.error, found.iterations
        )

    def _at(self, lam: list[np.ndarray]) -> _Point:
        return _Point(lam, *self._value(lam))

    def _error(self, point: _Point) -> float:
        """Return the gradient's norm at a point; set its gradient."""
        point.means = self._sums_up(point.p)
        point.gradient = [
            y - mean + v * x
            for y, mean, v, x in zip(self.Y, point.means, self.V, point.lam, strict=True)
        ]
        return float(np.sqrt(_dot(point.gradient, point.gradient)))

    def _newton_step(self, point: _Point, error: float) -> Step[_Point]:
        del error
        step = self._step(point.p, point.means, point.gradient)
        return Step(
            slope=_dot(point.gradient, step),
            length=1.0,
            move=lambda share: self._at(
                [x + share * s for x, s in zip(point.lam, step, strict=True)]
            ),
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
        """Return X'p of each area, per level."""
        means = [(self.Xt @ p).T]
        for parent, y in zip(self.parents[:0:-1], self.Y[-2::-1], strict=True):
            coarser = np.zeros_like(y)
            np.add.at(coarser, parent, means[0])
            means.insert(0, coarser)
        return means

    def _step(
        self, p: np.ndarray, means: list[np.ndarray], gradient: list[np.ndarray]
    ) -> list[np.ndarray]:
        """Solve the Newton system: nested blocks minus the rank-one term from normalising p."""
        sides = [np.stack(pair, axis=-1) for pair in zip(gradient, means, strict=True)]
        solved = self._solve_nested(p, sides)
        a, b = [s[..., 0] for s in solved], [s[..., 1] for s in solved]
        factor = _dot(means, a) / (1 - _dot(means, b))  # Sherman and Morrison
        return [-(x + factor * y) for x, y in zip(a, b, strict=True)]

    def _solve_nested(self, p: np.ndarray, sides: list[np.ndarray]) -> list[np.ndarray]:
        """Solve (sum of the areas' X'PX at every level + V) s = sides, each (areas, K, 2).

        A smallest area's own system is M + V. Eliminating it adds M - M (M + V)^-1 M to its parent's
        system and subtracts M (M + V)^-1 r from the right side of every area above it.
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
    """Return the nonzero products x_ij x_ik, (pairs, n) sparse, and j >= k of each pair.

    Multiplied by p they give X'PX of all smallest areas at once. A household has few of the many
    features, so this costs a fraction of dense products.
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
