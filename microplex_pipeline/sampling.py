"""Systematic sampling with unequal probabilities (Madow 1949)."""

from __future__ import annotations

import numpy as np


def systematic_counts(sizes: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each unit is drawn: n times in all, in proportion to size.

    A unit whose expected count is x is drawn floor(x) or ceil(x) times. Neighbours in the file are rarely
    drawn together, so that an ordered file is stratified by its order.

    Parameters
    ----------
    sizes : (N,) non-negative, not all zero.
    n : number of draws.
    rng : one uniform number is drawn from it.

    Returns
    -------
    (N,) whole numbers that add up to n.

    References
    ----------
    Madow, W. G. (1949). On the theory of systematic sampling, II. Annals of Mathematical Statistics
    20: 333-354.
    """
    expected = np.cumsum(sizes) / sizes.sum() * n
    expected[-1] = n  # whatever the rounding of the sum
    ticks = np.floor(np.concatenate([[0.0], expected]) + rng.random())
    return np.diff(ticks).astype(np.int64)
