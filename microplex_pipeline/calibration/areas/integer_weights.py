"""Integer weights by truncate, replicate, sample.

Lovelace and Ballas 2013, Computers, Environment and Urban Systems 41: 1-11.
"""

from __future__ import annotations

import numpy as np


def integer_weights(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return integer weights (n,) whose sum is the rounded sum of `weights`.

    Every weight is truncated. The units that are then missing go to records drawn without replacement,
    with probabilities proportional to the truncated fractions. Each weight changes by less than one.

    Parameters
    ----------
    weights : (n,) non-negative.
    rng : source of the draws.
    """
    whole = np.floor(weights)
    rest = weights - whole
    missing = round(float(weights.sum())) - int(whole.sum())
    if missing > 0:
        whole[rng.choice(len(weights), missing, replace=False, p=rest / rest.sum())] += 1
    return whole.astype(np.int64)
