"""Integer weights by truncate, replicate, sample.

Lovelace and Ballas 2013, Computers, Environment and Urban Systems 41: 1-11.
"""

from __future__ import annotations

import numpy as np


def integer_weights(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return whole weights (n,) whose sum is the rounded sum of `weights`.

    Every weight is cut to its whole part; the units that are then missing go to records drawn without
    replacement, with chances proportional to the parts cut off. No weight moves by one or more.

    Parameters
    ----------
    weights : (n,) non-negative.
    """
    whole = np.floor(weights)
    rest = weights - whole
    missing = round(float(weights.sum())) - int(whole.sum())
    if missing > 0:
        whole[rng.choice(len(weights), missing, replace=False, p=rest / rest.sum())] += 1
    return whole.astype(np.int64)
