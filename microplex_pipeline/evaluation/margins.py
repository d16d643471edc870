"""Distances between real and synthetic marginal distributions, sign shares and correlations."""

from __future__ import annotations

import numpy as np


def weighted_ks(
    real: np.ndarray, synthetic: np.ndarray, w_real: np.ndarray, w_synthetic: np.ndarray
) -> float:
    """Return the Kolmogorov-Smirnov distance between two weighted samples, in [0, 1].

    This is the largest absolute difference between the two weighted distribution functions.
    """
    points = np.unique(np.concatenate([real, synthetic]))
    functions = [
        np.cumsum(np.bincount(np.searchsorted(points, x), w / w.sum(), minlength=len(points)))
        for x, w in ((real, w_real), (synthetic, w_synthetic))
    ]
    return float(np.abs(functions[0] - functions[1]).max())


def grouped_ks(
    real: np.ndarray,
    synthetic: np.ndarray,
    w_real: np.ndarray,
    w_synthetic: np.ndarray,
    groups_real: np.ndarray,
    groups_synthetic: np.ndarray,
) -> float:
    """Return the mean of `weighted_ks` within groups, weighted by the size of the real groups."""
    total, weight = 0.0, 0.0
    for group in np.unique(groups_real):
        a, b = groups_real == group, groups_synthetic == group
        if b.any():
            size = w_real[a].sum()
            total += size * weighted_ks(real[a], synthetic[b], w_real[a], w_synthetic[b])
            weight += size
    return total / weight


def sign_shares(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted shares of negative, zero and positive values, (3,)."""
    return np.bincount(np.sign(values).astype(int) + 1, weights, minlength=3) / weights.sum()


def correlations(data: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted correlations (k, k) of columns (n, k); 0 if a column is constant."""
    centred = data - np.average(data, axis=0, weights=weights)
    covariance = (centred * weights[:, None]).T @ centred / weights.sum()
    deviation = np.sqrt(np.diag(covariance))
    scale = np.where(deviation > 0, deviation, np.inf)
    return covariance / np.outer(scale, scale)


def correlation_error(
    real: np.ndarray, synthetic: np.ndarray, w_real: np.ndarray, w_synthetic: np.ndarray
) -> float:
    """Return the mean absolute difference of the off-diagonal correlations of columns (n, k).

    The error of a single column is 0. Pass amounts as signed logarithms, so that no single large amount
    dominates.
    """
    gap = np.abs(correlations(real, w_real) - correlations(synthetic, w_synthetic))
    pairs = gap[np.triu_indices(len(gap), 1)]
    return float(pairs.mean()) if len(pairs) else 0.0


def signed_log(values: np.ndarray) -> np.ndarray:
    """Return sign(x) log(1 + |x|)."""
    return np.sign(values) * np.log1p(np.abs(values))
