import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex_pipeline.calibration.areas.penalized_entropy import fit_penalized_entropy

PARENTS = {
    1: [],
    2: [np.array([0, 0, 1, 1, 1])],
    3: [np.array([0, 0]), np.array([0, 0, 1, 1, 1])],
}
COUNTS = {1: [5], 2: [2, 5], 3: [1, 2, 5]}


def random_area(seed, depth, n=30, K=3):
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.8, (n, K)).astype(float)
    weights, shares = rng.uniform(1, 9, n), rng.uniform(1, 4, 5)
    finest = np.outer(shares / shares.sum(), X.T @ weights)
    levels = [finest]
    for parent, count in zip(PARENTS[depth][::-1], COUNTS[depth][-2::-1], strict=True):
        levels.insert(0, np.stack([levels[0][parent == j].sum(axis=0) for j in range(count)]))
    levels = [np.maximum(0, b + rng.normal(0, 5, b.shape)) for b in levels]
    variances = [rng.uniform(1, 6, b.shape) ** 2 for b in levels]
    return X, weights, shares, PARENTS[depth], levels, variances


def generic_weights(X, weights, shares, parents, levels, variances):
    """Minimise the dual, written from its definition, by a general optimiser."""
    N, n = weights.sum(), len(weights)
    q = np.outer(weights / N, shares / shares.sum())
    b, v = (np.concatenate([x.ravel() for x in y]) for y in (levels, variances))
    ends = np.cumsum([x.size for x in levels])[:-1]

    def shares_at(lam):
        parts = [p.reshape(y.shape) for p, y in zip(np.split(lam, ends), levels, strict=True)]
        total = parts[0]
        for parent, own in zip(parents, parts[1:], strict=True):
            total = total[parent] + own
        return q * np.exp(-X @ total.T)

    def dual(lam):
        return b / N @ lam + np.log(shares_at(lam).sum()) + (v * n / N**2) @ lam**2 / 2

    best = scipy.optimize.minimize(dual, np.zeros(len(b)), method="BFGS", options={"gtol": 1e-9})
    p = shares_at(best.x)
    return N * p / p.sum()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_it_agrees_with_a_general_optimiser(depth):
    X, *rest = random_area(depth, depth)
    ours = fit_penalized_entropy(sp.csr_array(X), *rest)
    assert ours.gradient_norm <= 1e-10
    np.testing.assert_allclose(ours.weights, generic_weights(X, *rest), rtol=2e-4, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3]))
def test_the_gradient_vanishes(seed, depth):
    """Misses over variances are the multipliers; summed over the levels they give log p / q."""
    X, weights, shares, parents, levels, variances = random_area(seed, depth)
    fit = fit_penalized_entropy(sp.csr_array(X), weights, shares, parents, levels, variances)
    N, n = weights.sum(), len(weights)
    achieved = [fit.weights.T @ X]
    for parent, b in zip(parents[::-1], levels[-2::-1], strict=True):
        achieved.insert(0, np.stack([achieved[0][parent == j].sum(axis=0) for j in range(len(b))]))
    multipliers = [
        (a - b) / v * N / n for a, b, v in zip(achieved, levels, variances, strict=True)
    ]
    total = multipliers[0]
    for parent, own in zip(parents, multipliers[1:], strict=True):
        total = total[parent] + own
    q = np.outer(weights / N, shares / shares.sum())
    expected = q * np.exp(-X @ total.T)
    np.testing.assert_allclose(fit.weights / N, expected / expected.sum(), rtol=1e-6)
    assert fit.weights.sum() == pytest.approx(N)
