"""Linear programmes on which one way of solving them fails."""

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.solvers.highs import linear_programme


def feasible_problem(seed: int) -> tuple[sp.csr_array, np.ndarray]:
    """Return equations with a known non-negative solution; many columns differ by 1e-7 alone."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(20, 120))
    n = int(m * rng.uniform(1.2, 3))
    A = (rng.random((m, n)) < 0.15) * rng.lognormal(0, 2, (m, n))
    third = n // 3
    A[:, :third] = A[:, third : 2 * third] * (1 + 1e-7 * rng.standard_normal((m, third)))
    A /= np.maximum(A.max(axis=1, keepdims=True), 1e-12)
    return sp.csr_array(A), A @ np.where(rng.random(n) < 0.6, rng.lognormal(0, 3, n), 0.0)


def test_programmes_with_nearly_equal_columns_are_solved():
    for seed in range(100):
        A, b = feasible_problem(seed)
        x, _ = linear_programme(np.zeros(A.shape[1]), A, b, b)
        np.testing.assert_allclose(A @ x, b, atol=1e-6 * b.max())
        assert x.min() > -1e-6 * b.max()
