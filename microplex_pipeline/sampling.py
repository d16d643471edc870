"""Systematic sampling with unequal probabilities (Madow 1949)."""

from __future__ import annotations

import numpy as np


def systematic_counts(sizes: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each unit is drawn: n times in all, in proportion to size.

    A unit whose expected count is x is drawn floor(x) or ceil(x) times. Neighbours in the file are
    rarely drawn together, so the sample is implicitly stratified by the order of the file.

    Parameters
    ----------
    sizes : (N,) non-negative, not all zero.
    n : number of draws.
    rng : source of the single uniform number that is used.

    Returns
    -------
    (N,) counts, int64, that add up to n.

    References
    ----------
    Madow, W. G. (1949). On the theory of systematic sampling, II. Annals of Mathematical Statistics
    20: 333-354.

    Examples
    --------
    >>> import numpy as np
    >>> sizes = np.array([1.0, 1.0, 2.0, 4.0])
    >>> systematic_counts(sizes, 8, np.random.default_rng(0)).tolist()
    [1, 1, 2, 4]
    >>> counts = systematic_counts(sizes, 2, np.random.default_rng(0))
    >>> int(counts.sum()), int(counts[3])
    (2, 1)
    """
    expected = np.cumsum(sizes) / sizes.sum() * n
    expected[-1] = n  # exactly, despite rounding in the sum
    ticks = np.floor(np.concatenate([[0.0], expected]) + rng.random())
    return np.diff(ticks).astype(np.int64)
